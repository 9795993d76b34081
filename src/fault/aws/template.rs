//! A template: what it would do, read from the account or from the scenario; and how one is made from a scenario's words.

use std::collections::HashMap;

use aws_sdk_fis::error::BuildError;
use aws_sdk_fis::operation::create_experiment_template::builders::CreateExperimentTemplateFluentBuilder;
use aws_sdk_fis::types::{
    AccountTargeting, CreateExperimentTemplateActionInput, CreateExperimentTemplateExperimentOptionsInput,
    CreateExperimentTemplateLogConfigurationInput, CreateExperimentTemplateReportConfigurationInput,
    CreateExperimentTemplateStopConditionInput, CreateExperimentTemplateTargetInput, EmptyTargetResolutionMode, ExperimentTemplate,
    ExperimentTemplateCloudWatchLogsLogConfigurationInput, ExperimentTemplateReportConfigurationDataSourcesInput,
    ExperimentTemplateReportConfigurationOutputsInput, ExperimentTemplateS3LogConfigurationInput, ExperimentTemplateTargetInputFilter,
    ReportConfigurationCloudWatchDashboardInput, ReportConfigurationS3OutputInput,
};

use super::spec::{Log, Report, Select, Spec, Stop};
use crate::fault::FaultError;
use crate::sys::aws::Account;

/// The version of AWS's log format.
const LOG_SCHEMA: i32 = 2;

/// What an experiment would do.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Shape {
    /// AWS's ids of its actions, sorted.
    pub actions: Vec<String>,
    /// What it acts on, sorted by name.
    pub targets: Vec<Aim>,
    /// Whether an alarm stops it by itself.
    pub stops: bool,
}

/// What one target of an experiment selects.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Aim {
    /// Its name in the experiment.
    pub name: String,
    /// The type of resource.
    pub of: String,
    /// These resources.
    pub arns: Vec<String>,
    /// Or those that carry all of these tags, sorted.
    pub tags: Vec<(String, String)>,
    /// Whether attributes or parameters leave out some of them.
    pub filtered: bool,
    /// How many of them.
    pub select: Select,
}

impl Shape {
    /// What a scenario describes.
    pub fn described(spec: &Spec) -> Shape {
        let mut actions: Vec<String> = spec.actions.values().map(|action| action.action.clone()).collect();
        actions.sort_unstable();
        let aim = |(name, target): (&String, &super::spec::Target)| Aim {
            name: name.clone(),
            of: target.of.clone(),
            arns: target.arns.clone(),
            tags: sorted(target.tags.iter()),
            filtered: !target.filters.is_empty() || !target.parameters.is_empty(),
            select: Select::of(&target.select).unwrap_or(Select::All),
        };
        Shape { actions, targets: by_name(spec.targets.iter().map(aim)), stops: !spec.stop_conditions.is_empty() }
    }

    /// What a template of the account says.
    ///
    /// # Errors
    /// It would act in other accounts as well, or go on where a target matches nothing.
    pub fn of(template: &ExperimentTemplate) -> Result<Shape, FaultError> {
        let id = template.id().unwrap_or_default();
        if let Some(options) = template.experiment_options() {
            if options.account_targeting() == Some(&AccountTargeting::MultiAccount)
                || template.target_account_configurations_count() > Some(0)
            {
                return Err(FaultError::Target(format!("template {id} acts in other accounts as well, which nobody has vouched for")));
            }
            if options.empty_target_resolution_mode() == Some(&EmptyTargetResolutionMode::Skip) {
                let why = format!(
                    "template {id} goes on where a target matches nothing: a drill that hits nothing proves nothing (set its emptyTargetResolutionMode to `fail`)"
                );
                return Err(FaultError::Target(why));
            }
        }
        let mut actions: Vec<String> =
            template.actions().into_iter().flatten().filter_map(|(_, action)| action.action_id().map(str::to_owned)).collect();
        actions.sort_unstable();
        let aims = template.targets().into_iter().flatten().map(|(name, target)| Aim {
            name: name.clone(),
            of: target.resource_type().unwrap_or_default().to_owned(),
            arns: target.resource_arns().to_vec(),
            tags: sorted(target.resource_tags().into_iter().flatten()),
            filtered: !target.filters().is_empty() || target.parameters().is_some_and(|given| !given.is_empty()),
            select: target.selection_mode().and_then(Select::of).unwrap_or(Select::All),
        });
        let stops = template.stop_conditions().iter().any(|stop| stop.source() != Some("none"));
        Ok(Shape { actions, targets: by_name(aims), stops })
    }
}

fn sorted<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = pairs.map(|(key, value)| (key.clone(), value.clone())).collect();
    pairs.sort_unstable();
    pairs
}

fn by_name(aims: impl Iterator<Item = Aim>) -> Vec<Aim> {
    let mut aims: Vec<Aim> = aims.collect();
    aims.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    aims
}

/// The request that makes the template of a scenario's words.
///
/// # Errors
/// Something that `check` lets pass is missing: a record of another version.
pub(super) fn create(spec: &Spec, about: &str, account: &Account) -> Result<CreateExperimentTemplateFluentBuilder, FaultError> {
    let wrong = |error: BuildError| FaultError::Other(format!("describe the experiment: {error}"));
    let options = CreateExperimentTemplateExperimentOptionsInput::builder()
        .account_targeting(AccountTargeting::SingleAccount)
        .empty_target_resolution_mode(EmptyTargetResolutionMode::Fail)
        .build();
    let mut request =
        account.fis.create_experiment_template().description(about).set_role_arn(spec.role.clone()).experiment_options(options);
    for (name, action) in &spec.actions {
        let mut made = CreateExperimentTemplateActionInput::builder().action_id(&action.action);
        made = made.set_parameters(map(&action.parameters)).set_targets(map(&action.targets));
        if !action.after.is_empty() {
            made = made.set_start_after(Some(action.after.clone()));
        }
        request = request.actions(name, made.build().map_err(wrong)?);
    }
    for (name, target) in &spec.targets {
        let mut made = CreateExperimentTemplateTargetInput::builder()
            .resource_type(&target.of)
            .selection_mode(&target.select)
            .set_resource_tags(map(&target.tags))
            .set_parameters(map(&target.parameters));
        if !target.arns.is_empty() {
            made = made.set_resource_arns(Some(target.arns.clone()));
        }
        for filter in &target.filters {
            let values = Some(filter.values.clone());
            made =
                made.filters(ExperimentTemplateTargetInputFilter::builder().path(&filter.path).set_values(values).build().map_err(wrong)?);
        }
        request = request.targets(name, made.build().map_err(wrong)?);
    }
    let none = CreateExperimentTemplateStopConditionInput::builder().source("none");
    if spec.stop_conditions.is_empty() {
        request = request.stop_conditions(none.build().map_err(wrong)?);
    }
    for stop in &spec.stop_conditions {
        let Stop::Arn(alarm) = stop else { return Err(FaultError::Other("describe the experiment: a guard has no alarm".into())) };
        let stop = CreateExperimentTemplateStopConditionInput::builder().source("aws:cloudwatch:alarm").value(alarm);
        request = request.stop_conditions(stop.build().map_err(wrong)?);
    }
    if let Some(log) = &spec.log {
        request = request.log_configuration(logged(log).map_err(wrong)?);
    }
    Ok(match &spec.report {
        Some(report) => request.experiment_report_configuration(reported(report)),
        None => request,
    })
}

fn map(pairs: &indexmap::IndexMap<String, String>) -> Option<HashMap<String, String>> {
    (!pairs.is_empty()).then(|| pairs.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn logged(log: &Log) -> Result<CreateExperimentTemplateLogConfigurationInput, BuildError> {
    let mut made = CreateExperimentTemplateLogConfigurationInput::builder().log_schema_version(LOG_SCHEMA);
    if let Some(group) = &log.cloudwatch {
        made = made
            .cloud_watch_logs_configuration(ExperimentTemplateCloudWatchLogsLogConfigurationInput::builder().log_group_arn(group).build()?);
    }
    if let Some(to) = &log.s3 {
        let to = ExperimentTemplateS3LogConfigurationInput::builder().bucket_name(&to.bucket).set_prefix(to.prefix.clone());
        made = made.s3_configuration(to.build()?);
    }
    made.build()
}

fn reported(report: &Report) -> CreateExperimentTemplateReportConfigurationInput {
    let to = ReportConfigurationS3OutputInput::builder().bucket_name(&report.s3.bucket).set_prefix(report.s3.prefix.clone()).build();
    let mut made = CreateExperimentTemplateReportConfigurationInput::builder()
        .outputs(ExperimentTemplateReportConfigurationOutputsInput::builder().s3_configuration(to).build())
        .set_pre_experiment_duration(report.before.clone())
        .set_post_experiment_duration(report.after.clone());
    if !report.dashboards.is_empty() {
        let mut shown = ExperimentTemplateReportConfigurationDataSourcesInput::builder();
        for dashboard in &report.dashboards {
            shown = shown
                .cloud_watch_dashboards(ReportConfigurationCloudWatchDashboardInput::builder().dashboard_identifier(dashboard).build());
        }
        made = made.data_sources(shown.build());
    }
    made.build()
}
