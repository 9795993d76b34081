//! The style sheet: two text sizes and one for numbers, one accent colour, tabular numerals, light, dark and paper.

/// All of it; holds no reference to anything outside.
pub(super) const SHEET: &str = r#"
:root{color-scheme:light dark;--bg:#fcfcfa;--card:#f4f4f1;--fg:#1a1e23;--soft:#59616b;--rule:#dfe1e3;--accent:#0a5c9e;--good:#00664a;--bad:#ae3a06;
--open:#7a5500;--none:#59616b;--ink:#fff;--band:rgba(26,30,35,.075);--lane:#b9bec5;--alarm:#fdeee9}
@media screen and (prefers-color-scheme:dark){:root{--bg:#131619;--card:#1b1f24;--fg:#e6e8eb;--soft:#9ca6b1;--rule:#2e343b;--accent:#70b7f0;
--good:#4fcaa3;--bad:#ff9a6e;--open:#e2b84d;--none:#9ca6b1;--ink:#131619;--band:rgba(230,232,235,.085);--lane:#56606b;--alarm:#33190f}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
font-variant-numeric:tabular-nums;overflow-wrap:break-word}
main{max-width:1320px;margin:0 auto;padding:clamp(20px,4vw,56px) clamp(16px,4vw,64px) 96px}
h1,h2,h3{font-size:15px;line-height:1.4;margin:0;font-weight:650}
p{margin:0 0 .7em;max-width:74ch}p:last-child{margin-bottom:0}
a{color:var(--accent)}
ul{margin:0;padding-left:1.15em}li{margin:0 0 .3em}
code,pre{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.note,.meta,small,th,td,dl,summary,figcaption,.label{font-size:13px}
.note,.meta,th,dt,figcaption,.label{color:var(--soft)}
.meta{margin:0 0 6px;max-width:none}.meta span{white-space:nowrap}.meta span+span::before{content:" · ";white-space:pre}
header{margin:0 0 clamp(28px,4vw,48px)}
header h1{margin-bottom:clamp(20px,3vw,32px)}
.verdict{display:grid;gap:14px 40px;grid-template-columns:minmax(0,1fr);border-top:3px solid var(--tone);padding-top:18px}
.verdict .number{font-size:40px;line-height:1.1;font-weight:600;letter-spacing:-.015em;display:block}
.verdict .sentence{max-width:64ch}
.verdict.good{--tone:var(--good)}.verdict.bad{--tone:var(--bad)}.verdict.open{--tone:var(--open)}.verdict.none{--tone:var(--none)}
.verdict .caption{color:var(--soft);font-size:13px;display:block;margin-top:4px}
.verdict .badge{margin-bottom:10px}
.demo{border:1px solid var(--fg);padding:6px 12px;margin:0 0 18px;font-size:13px;font-weight:650;display:inline-block;max-width:100%}
main>section{border-top:1px solid var(--rule);padding:22px 0 30px;display:grid;grid-template-columns:minmax(0,1fr);gap:14px 40px}
.rail h2{margin:0}.rail .note{margin:0}
.body{min-width:0}.body>*+*{margin-top:16px}
@media(min-width:1040px){main>section{grid-template-columns:164px minmax(0,1fr)}.verdict.two{grid-template-columns:minmax(300px,auto) minmax(0,1fr);align-items:start}
.verdict.two .said{padding-top:34px}}
.badge{display:inline-flex;align-items:baseline;gap:7px;font-weight:650;white-space:nowrap;color:var(--tone)}
.badge.good{--tone:var(--good)}.badge.bad{--tone:var(--bad)}.badge.open{--tone:var(--open)}.badge.none{--tone:var(--none)}
.icon{width:16px;height:16px;flex:none;transform:translateY(2.5px)}.icon .f{fill:var(--tone)}.icon .k{fill:none;stroke:var(--ink);stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}
.icon .o{fill:none;stroke:var(--tone);stroke-width:1.6}
.owed{border:3px solid var(--bad);background:var(--alarm);padding:20px 22px;margin:0 0 32px}
.owed .alarm{font-weight:650;display:flex;gap:9px;align-items:center;color:var(--bad);--tone:var(--bad);margin-bottom:12px}
.owed .what{font-weight:650;margin:16px 0 4px}.owed pre{background:var(--bg);border:1px solid var(--bad);padding:10px 12px;margin:6px 0 10px;white-space:pre-wrap}
.scroll{overflow-x:auto;max-width:100%}
.scroll:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:baseline;padding:7px 18px 7px 0;border-bottom:1px solid var(--rule)}
th{font-weight:500;white-space:nowrap}td.n,th.n{text-align:right;white-space:nowrap}
td:last-child,th:last-child{padding-right:0}
td .why{display:block;color:var(--soft);max-width:60ch}
td .def,.def,tr.claim .def{font-weight:400;display:block;color:var(--soft);font-size:13px}
tr.claim td{padding-top:16px;font-weight:650;border-bottom-color:var(--fg)}tbody tr.claim:first-child td{padding-top:7px}
.at{white-space:nowrap;color:var(--soft)}.tag{white-space:nowrap;font-weight:650}
dl{display:grid;grid-template-columns:minmax(9.5em,max-content) minmax(0,1fr);gap:5px 20px;margin:0}
dt{overflow-wrap:anywhere}dd{margin:0;max-width:80ch}
.cols{display:grid;gap:24px 40px;grid-template-columns:minmax(0,1fr)}
@media(min-width:1240px){.cols{grid-template-columns:minmax(0,1fr) minmax(0,1fr)}}
.cols h3,.sub{margin:0 0 8px}.question details{margin-top:8px}.question .at{white-space:normal}.question .def{overflow-wrap:anywhere}
.question table{table-layout:fixed}.question th:nth-child(1){width:34%}.question th:nth-child(2){width:236px}.question th:nth-child(4){width:108px}
.signoff td{height:52px;vertical-align:top;border-bottom-color:var(--soft)}.signoff td:first-child{width:34%}.signoff td:nth-child(3){width:16%}
#sign-off{break-inside:avoid}
.finding{border-left:3px solid var(--tone);padding:1px 0 1px 16px;break-inside:avoid}
.finding.hri{--tone:var(--bad)}.finding.mri{--tone:var(--open)}
.finding h3 .risk{color:var(--tone);margin-right:.4em}.finding dl{margin-top:8px}
details{break-inside:avoid}summary{cursor:pointer;color:var(--accent);width:max-content;max-width:100%}
details[open]>summary{margin-bottom:10px}
details .scroll{max-height:520px;overflow:auto}details pre{background:var(--card);padding:14px;margin:0;white-space:pre;overflow-wrap:normal;min-width:max-content}
figure{margin:0;break-inside:avoid}figcaption{margin-top:10px;display:flex;flex-wrap:wrap;gap:4px 18px}
figcaption span{display:inline-flex;align-items:center;gap:7px}.swatch{width:26px;height:12px;flex:none}
svg.picture,svg.histogram{display:block;width:100%;height:auto;overflow:visible}
svg.histogram{width:260px;max-width:100%}#method .body>*+*{margin-top:26px}
svg.narrow{display:none}
@media(max-width:640px){svg.wide{display:none}svg.narrow{display:block}}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:var(--soft);font-variant-numeric:tabular-nums}
svg .name{fill:var(--fg);font-weight:650;font-size:13px}svg .edge-label,svg .lane-label,svg .served-label{fill:var(--fg)}
svg .owed-label{fill:var(--bad);font-weight:650}
.grid{stroke:var(--rule);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1}
.p50{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}.p99{fill:none;stroke:var(--accent);stroke-width:1.2;stroke-dasharray:4 2.5;opacity:.8}
.bad-mark{fill:none;stroke:var(--bad);stroke-width:1.5}.failed-bar{fill:var(--bad);shape-rendering:crispEdges}
.band{fill:var(--band)}.stable{fill:none;stroke:var(--good);stroke-width:1.4;stroke-dasharray:2 3}
.at-command{stroke:var(--fg);stroke-dasharray:5 3;opacity:.55}.at-effect{stroke:var(--fg);opacity:.75}.at-undo{stroke:var(--fg);stroke-dasharray:1.5 3;opacity:.8}
.edge{fill:none;stroke:var(--bad);stroke-width:1.5}.edge-sure{stroke:var(--bad);stroke-width:5}
.served{fill:var(--card);stroke:var(--rule)}.served.other{fill:var(--rule)}
.lane{fill:var(--lane)}.op{fill:var(--bg);stroke:var(--fg);stroke-width:1.4}.op.solid{fill:var(--fg)}
.hatch{stroke:var(--soft);stroke-width:1.6;opacity:.6}.bar{fill:var(--accent);opacity:.85}
.bound{opacity:.9}.bound.good{fill:var(--good)}.bound.bad{fill:var(--bad)}.bound.open{fill:var(--open)}.bound.none{fill:var(--none)}
.open-end{fill:none;stroke-width:2}.open-end.good{stroke:var(--good)}.open-end.bad{stroke:var(--bad)}.open-end.open{stroke:var(--open)}.open-end.none{stroke:var(--none)}
.objective{stroke:var(--fg);stroke-width:1.5;stroke-dasharray:6 4}svg .objective-label,svg .run-label{fill:var(--fg)}.changed{stroke:var(--accent);stroke-dasharray:2 3}
.unmeasured{stroke:var(--soft);stroke-dasharray:1 5}.verdict-mark{fill:none;stroke-width:1.6;stroke:var(--open)}.verdict-mark.bad{stroke:var(--bad)}.verdict-mark.none{stroke:var(--none)}
svg .said.good{fill:var(--good)}svg .said.bad{fill:var(--bad)}svg .said.open{fill:var(--open)}
.grid3{display:grid;gap:22px 32px;grid-template-columns:repeat(auto-fill,minmax(min(240px,100%),1fr))}
.grid3 .label{display:block;margin-bottom:2px;color:var(--fg)}
@media(max-width:640px){.stack thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.stack tr{display:block;padding:10px 0;border-bottom:1px solid var(--rule)}.stack td{display:grid;grid-template-columns:6.4em minmax(0,1fr);gap:10px;
border:0;padding:2px 0;text-align:left}.stack td.n{text-align:left;white-space:normal}.stack td::before{content:attr(data-l);color:var(--soft)}
.stack td:empty{display:none}.stack tr.claim td{display:block}.stack tr.claim td::before{content:none}dl{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:8px}
.stack td[data-l=""]{display:block;font-weight:650;padding-bottom:6px}.stack td[data-l=""] .def{font-weight:400}.stack td[data-l=""]::before{content:none}
.moments thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.moments tr{display:grid;grid-template-columns:3.6em minmax(0,1fr);padding:8px 0;border-bottom:1px solid var(--rule)}
.moments td{border:0;padding:0;grid-column:2}.moments td:first-child{grid-column:1;grid-row:1/span 4}.moments td:empty{display:none}.moments .at{white-space:normal}
.owed{padding:16px}}
@page{margin:16mm 14mm}
@media print{:root{--bg:#fff}body{font-size:10.5pt}main{padding:0;max-width:none}main>section{grid-template-columns:minmax(0,1fr);padding:12pt 0}
tr,.finding,figure,.grid3>*,.verdict{break-inside:avoid}h2,h3,.rail{break-after:avoid}.scroll{overflow:visible}
.at{white-space:normal}th,td{padding-right:10pt}.scroll th,.scroll td{font-size:7.5pt;padding:2.5pt 7pt 2.5pt 0}.scroll th{white-space:normal}.scroll .def{font-size:7pt}
.band,.lane,.failed-bar,.bar,.bound,.served,.owed,.icon{print-color-adjust:exact;-webkit-print-color-adjust:exact}svg.wide{display:block}svg.narrow{display:none}
details:not([open]){display:none}}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sheet_is_balanced_and_self_contained() {
        assert_eq!(SHEET.matches('{').count(), SHEET.matches('}').count());
        assert!(!SHEET.contains("http") && !SHEET.contains("url(") && !SHEET.contains("@import") && !SHEET.contains('<'));
    }
}
