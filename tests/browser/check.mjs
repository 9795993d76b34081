// Looks at pages as a browser shows them: valid HTML, nothing that axe-core calls serious, light and dark, three widths, no sideways scrolling, no text of
// a picture cut or on top of another, and two paper sizes with nothing beyond the edge. Prints one line of JSON a page; pictures go where PICTURES says.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { HtmlValidate } from 'html-validate';
import { chromium } from 'playwright-core';

const require = createRequire(import.meta.url);
const axeSource = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const WIDTHS = [390, 1024, 1920];
// What is left of a sheet inside the page's margins (16 mm by 14 mm), at 96 px an inch.
const PAPERS = { A4: 182, Letter: 187.9 };
const pictures = process.env.PICTURES;

const validator = new HtmlValidate({
  extends: ['html-validate:standard', 'html-validate:a11y', 'html-validate:document'],
  rules: {
    // The page is one file: its style stands in it, by design.
    'no-inline-style': 'off',
    // How it is written (`<meta>` or `<meta/>`, long lines) is the template's business.
    'void-style': 'off',
    'long-title': 'off',
  },
});

/** What a reader would notice, in the page itself. */
function look(limit) {
  const found = [];
  const name = (e) => `${e.tagName.toLowerCase()}${e.id ? '#' + e.id : ''}${e.classList.length ? '.' + [...e.classList].join('.') : ''}`;
  if (document.documentElement.scrollWidth > limit + 1) found.push(`the page is ${document.documentElement.scrollWidth} px wide, ${limit} fit`);
  const seen = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  const scrolls = (e) => { for (let p = e; p && p !== document.body; p = p.parentElement) { const o = getComputedStyle(p).overflowX; if (o !== 'visible') return true; } return false; };
  for (const e of document.body.querySelectorAll('*')) {
    if (e.closest('svg') && e.tagName !== 'svg') continue;
    const box = e.getBoundingClientRect();
    if (box.width > 0 && seen(e) && !scrolls(e) && box.right > limit + 1) found.push(`${name(e)} ends at ${Math.round(box.right)} px of ${limit}: ${e.textContent.slice(0, 60)}`);
  }
  for (const svg of document.querySelectorAll('svg[role=img]')) {
    if (!seen(svg)) continue;
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map((e) => ({ e, box: e.getBoundingClientRect(), said: e.textContent }));
    for (const { box, said } of texts) {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1) {
        found.push(`${name(svg)}: “${said}” lies outside of its picture (${[box.left - frame.left, box.right - frame.right, box.top - frame.top, box.bottom - frame.bottom].map(Math.round)})`);
      }
    }
    for (let i = 0; i < texts.length; i++) for (let k = i + 1; k < texts.length; k++) {
      const a = texts[i].box, b = texts[k].box;
      const w = Math.min(a.right, b.right) - Math.max(a.left, b.left), h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (w > 1 && h > 4) found.push(`${name(svg)}: “${texts[i].said}” and “${texts[k].said}” lie on each other`);
    }
  }
  return [...new Set(found)].slice(0, 20);
}

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
let bad = 0;
for (const file of process.argv.slice(2)) {
  const wrong = [];
  const report = await validator.validateFile(file);
  for (const r of report.results) for (const m of r.messages) wrong.push(`html: ${m.ruleId} at ${m.line}:${m.column}: ${m.message}`);
  const stem = path.basename(path.dirname(file)) + '-' + path.basename(file, '.html');
  for (const colorScheme of ['light', 'dark']) {
    const page = await browser.newPage({ colorScheme, offline: true });
    page.on('request', (r) => { if (!r.url().startsWith('file:')) wrong.push(`asks ${r.url()}`); });
    await page.goto(pathToFileURL(path.resolve(file)).href);
    await page.evaluate(axeSource);
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      const where = `${colorScheme}, ${width} px`;
      for (const said of await page.evaluate(look, width)) wrong.push(`${where}: ${said}`);
      // Also what opens when it is asked for.
      await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
      const axe = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
      for (const v of axe.violations) if (['serious', 'critical'].includes(v.impact)) wrong.push(`${where}: axe ${v.id} (${v.impact}): ${v.nodes.slice(0, 3).map((n) => n.target.join(' ') + ' ' + n.failureSummary.split('\n')[1]).join('; ')}`);
      for (const said of await page.evaluate(look, width)) wrong.push(`${where}, all open: ${said}`);
      await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = false; }));
      if (pictures) await page.screenshot({ path: path.join(pictures, `${stem}-${colorScheme}-${width}.png`), fullPage: true });
    }
    await page.close();
  }
  const papers = {};
  const page = await browser.newPage({ colorScheme: 'light', offline: true });
  await page.goto(pathToFileURL(path.resolve(file)).href);
  for (const [format, mm] of Object.entries(PAPERS)) {
    const width = Math.floor((mm / 25.4) * 96);
    await page.emulateMedia({ media: 'print' });
    await page.setViewportSize({ width, height: 900 });
    for (const said of await page.evaluate(look, width)) wrong.push(`${format}: ${said}`);
    const pdf = await page.pdf({ format, preferCSSPageSize: false, printBackground: false });
    papers[format] = (pdf.toString('latin1').match(/\/Type\s*\/Page\b(?!s)/g) ?? []).length;
    if (papers[format] < 1 || papers[format] > 60) wrong.push(`${format}: ${papers[format]} pages`);
    if (pictures) fs.writeFileSync(path.join(pictures, `${stem}-${format}.pdf`), pdf);
  }
  await page.close();
  bad += wrong.length > 0 ? 1 : 0;
  console.log(JSON.stringify({ file, papers, wrong: [...new Set(wrong)] }));
}
await browser.close();
process.exit(bad > 0 ? 1 : 0);
