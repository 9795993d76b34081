//! The file: opened, read, added to and made anew. Whatever is wrong with it is told apart, because what helps differs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, params};

use super::{Account, Quantity, Reading, Row};

/// The file's name beside the runs.
pub const FILE: &str = "history.db";
/// Version of the tables.
pub const SCHEMA: i64 = 2;
/// Marks the file as ours ("FDHI").
const OURS: i64 = 0x4644_4849;
/// How long another process may write before it is said.
const PATIENCE: Duration = Duration::from_secs(10);

const TABLES: &str = "
    DROP TABLE IF EXISTS reading;
    DROP TABLE IF EXISTS run;
    CREATE TABLE run (
        run TEXT PRIMARY KEY, bytes INTEGER NOT NULL, firedrill TEXT NOT NULL, scenario TEXT NOT NULL, title TEXT NOT NULL,
        started_at TEXT NOT NULL, same TEXT NOT NULL, system TEXT, exit_code INTEGER NOT NULL, account TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX of_scenario ON run (scenario, run);
    CREATE TABLE reading (
        run TEXT NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, verdict TEXT NOT NULL, share INTEGER NOT NULL,
        lo REAL, hi REAL, objective REAL, PRIMARY KEY (run, place)
    ) STRICT, WITHOUT ROWID;";

/// What can be wrong: reads after "failed to read the history".
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It is SQLite's, and somebody else's.
    #[error("{path} is not a history of firedrill", path = .0.display())]
    Foreign(PathBuf),
    /// Other tables than ours.
    #[error("{path} has format {found}; this version of firedrill reads {SCHEMA}", path = path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: i64,
    },
    /// It is no database, or a broken one.
    #[error("{path} is damaged: {why}", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        why: String,
    },
    /// It, its directory or its file system takes no writing.
    #[error("{path} cannot be written", path = .0.display())]
    ReadOnly(PathBuf),
    /// Another process has it for too long.
    #[error("another process has been writing {path} for more than 10 s", path = .0.display())]
    Busy(PathBuf),
    /// Anything else.
    #[error("{path}: {why}", path = path.display())]
    Other {
        /// Which file.
        path: PathBuf,
        /// What was said.
        why: String,
    },
}

impl HistoryError {
    fn of(path: &Path, error: &rusqlite::Error) -> HistoryError {
        let (path, why) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => HistoryError::Damaged { path, why },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => HistoryError::ReadOnly(path),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => HistoryError::Busy(path),
            // A value of another type than we wrote.
            None => HistoryError::Damaged { path, why },
            Some(_) => HistoryError::Other { path, why },
        }
    }

    /// Whether making it anew helps.
    pub fn is_mended_by_rebuild(&self) -> bool {
        matches!(self, HistoryError::Damaged { .. } | HistoryError::Version { .. })
    }
}

/// An open history.
pub struct History {
    db: Connection,
    path: PathBuf,
}

impl History {
    /// Opens the history of a directory; makes it where there is none.
    ///
    /// # Errors
    /// See [`HistoryError`]; `ReadOnly` when there is none and none can be made.
    pub fn open(home: &Path) -> Result<History, HistoryError> {
        let path = home.join(FILE);
        let mut history = History::connect(&path)?;
        history.prepare()?;
        Ok(history)
    }

    fn connect(path: &Path) -> Result<History, HistoryError> {
        let fail = |error: &rusqlite::Error| HistoryError::of(path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let read = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)
            .or_else(|error| if path.exists() { Connection::open_with_flags(path, read) } else { Err(error) });
        let db = db.map_err(|error| fail(&error))?;
        db.busy_timeout(PATIENCE).map_err(|error| fail(&error))?;
        Ok(History { db, path: path.to_owned() })
    }

    /// Looks whose it is, and of which version; a new file gets its tables.
    fn prepare(&mut self) -> Result<(), HistoryError> {
        let path = self.path.clone();
        let fail = |error: &rusqlite::Error| HistoryError::of(&path, error);
        let (owner, version, objects) = marks(&self.db).map_err(|error| fail(&error))?;
        match (owner, version) {
            (OURS, SCHEMA) => Ok(()),
            (OURS, found) => Err(HistoryError::Version { path, found }),
            (0, 0) if objects == 0 => {
                // Two processes may come first at the same time: the second one waits here, and sees what the first one made.
                let step = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|error| fail(&error))?;
                if marks(&step).map_err(|error| fail(&error))?.0 == 0 {
                    tables(&step).map_err(|error| fail(&error))?;
                }
                step.commit().map_err(|error| fail(&error))
            }
            _ => Err(HistoryError::Foreign(path)),
        }
    }

    /// Every run, oldest first; of one scenario, where it is named.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub fn rows(&self, scenario: Option<&str>) -> Result<Vec<Row>, HistoryError> {
        self.read(scenario).map_err(|error| HistoryError::of(&self.path, &error))
    }

    fn read(&self, scenario: Option<&str>) -> rusqlite::Result<Vec<Row>> {
        let mut runs = self.db.prepare(
            "SELECT run, bytes, firedrill, scenario, title, started_at, same, system, exit_code, account FROM run
             WHERE ?1 IS NULL OR scenario = ?1 ORDER BY run",
        )?;
        let rows = runs.query_map([scenario], |row| {
            Ok(Row {
                run: row.get(0)?,
                bytes: row.get::<_, i64>(1)?.unsigned_abs(),
                firedrill: row.get(2)?,
                scenario: row.get(3)?,
                title: row.get(4)?,
                started_at: row.get(5)?,
                same: row.get(6)?,
                system: row.get(7)?,
                exit_code: row.get(8)?,
                readings: Vec::new(),
                account: account(&row.get::<_, String>(9)?)?,
            })
        })?;
        let mut rows: Vec<Row> = rows.collect::<rusqlite::Result<_>>()?;
        let mut readings = self.db.prepare("SELECT name, verdict, share, lo, hi, objective FROM reading WHERE run = ?1 ORDER BY place")?;
        for row in &mut rows {
            let found = readings.query_map([&row.run], |row| {
                let quantity = if row.get(2)? { Quantity::Share } else { Quantity::Time };
                Ok(Reading { name: row.get(0)?, verdict: row.get(1)?, quantity, lo: row.get(3)?, hi: row.get(4)?, objective: row.get(5)? })
            })?;
            row.readings = found.collect::<rusqlite::Result<_>>()?;
        }
        Ok(rows)
    }

    /// Adds these runs, over what is known of them, and forgets those. All of it or nothing.
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub fn put(&mut self, rows: &[Row], gone: &[String]) -> Result<(), HistoryError> {
        let path = self.path.clone();
        self.write(|step| {
            gone.iter().try_for_each(|run| forget(step, run))?;
            rows.iter().try_for_each(|row| put(step, row))
        })
        .map_err(|error| HistoryError::of(&path, &error))
    }

    fn write(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
        let step = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        work(&step)?;
        step.commit()
    }

    /// Makes the history of a directory anew from these runs. What is damaged is set aside under another name, and given back.
    ///
    /// # Errors
    /// See [`HistoryError`]; `Foreign` when the file is somebody else's, which is left alone.
    pub fn rebuild(home: &Path, rows: &[Row]) -> Result<Option<PathBuf>, HistoryError> {
        let path = home.join(FILE);
        let fail = |error: &rusqlite::Error| HistoryError::of(&path, error);
        let anew = |history: &mut History| {
            history.write(|step| {
                tables(step)?;
                rows.iter().try_for_each(|row| put(step, row))
            })
        };
        let aside = match History::open(home) {
            Ok(mut history) => match anew(&mut history) {
                Ok(()) => return Ok(None),
                Err(error) if HistoryError::of(&path, &error).is_mended_by_rebuild() => set_aside(&path)?,
                Err(error) => return Err(fail(&error)),
            },
            Err(HistoryError::Version { .. }) => {
                anew(&mut History::connect(&path)?).map_err(|error| fail(&error))?;
                return Ok(None);
            }
            Err(HistoryError::Damaged { .. }) => set_aside(&path)?,
            Err(other) => return Err(other),
        };
        anew(&mut History::open(home)?).map_err(|error| fail(&error))?;
        Ok(Some(aside))
    }
}

/// A text that is not of ours counts as a value of another type: the file is damaged.
fn account(text: &str) -> rusqlite::Result<Account> {
    serde_json::from_str(text).map_err(|error| rusqlite::Error::FromSqlConversionFailure(9, rusqlite::types::Type::Text, Box::new(error)))
}

/// Whose file it is, its version, and how many tables there are.
fn marks(db: &Connection) -> rusqlite::Result<(i64, i64, i64)> {
    let one = |sql: &str| db.query_row(sql, [], |row| row.get(0));
    Ok((one("PRAGMA application_id")?, one("PRAGMA user_version")?, one("SELECT count(*) FROM sqlite_master")?))
}

fn tables(step: &Transaction<'_>) -> rusqlite::Result<()> {
    step.execute_batch(TABLES)?;
    step.pragma_update(None, "application_id", OURS)?;
    step.pragma_update(None, "user_version", SCHEMA)
}

fn forget(step: &Transaction<'_>, run: &str) -> rusqlite::Result<()> {
    step.prepare_cached("DELETE FROM reading WHERE run = ?1")?.execute([run])?;
    step.prepare_cached("DELETE FROM run WHERE run = ?1")?.execute([run]).map(|_| ())
}

fn put(step: &Transaction<'_>, row: &Row) -> rusqlite::Result<()> {
    forget(step, &row.run)?;
    step.prepare_cached("INSERT INTO run VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")?.execute(params![
        row.run,
        i64::try_from(row.bytes).unwrap_or(i64::MAX),
        row.firedrill,
        row.scenario,
        row.title,
        row.started_at,
        row.same,
        row.system,
        row.exit_code,
        serde_json::to_string(&row.account).unwrap_or_default()
    ])?;
    let mut insert = step.prepare_cached("INSERT INTO reading VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    for (place, reading) in (0_i64..).zip(&row.readings) {
        let share = reading.quantity == Quantity::Share;
        insert.execute(params![row.run, place, reading.name, reading.verdict, share, reading.lo, reading.hi, reading.objective])?;
    }
    Ok(())
}

/// Moves a damaged file out of the way, with what SQLite kept beside it.
fn set_aside(path: &Path) -> Result<PathBuf, HistoryError> {
    let aside = path.with_extension("db.damaged");
    let other = |error: std::io::Error| HistoryError::Other { path: path.to_owned(), why: error.to_string() };
    std::fs::rename(path, &aside).map_err(other)?;
    for left in ["db-journal", "db-wal", "db-shm"] {
        // There is none, mostly.
        let _ = std::fs::remove_file(path.with_extension(left));
    }
    Ok(aside)
}
