// What the reader sees: what to pick, how far it is, and what was found. Nothing leaves the page.

import { hexOf } from './bytes.js';
import { digestOf } from './hashes.js';
import { useFormat, utcText } from './records.js';
import { SAID, useWords } from './words.js';
import { verifyPackage } from './verify.js';

const SHOWN = 200;
const chosen = { folder: null, zip: null, policy: null, dropped: null };
let language = 0;
/** @type {any} */
let last = null;

/** @type {(id: string) => any} */
const at = (id) => document.getElementById(id);
const say = (pair) => pair[language];
/** What a package says must not be able to change how the page reads. */
const visible = (text) =>
  String(text).replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}]/gu,
    (c) => `\\u{${c.codePointAt(0).toString(16)}}`,
  );

function element(tag, ...children) {
  const made = document.createElement(tag);
  for (const child of children) {
    made.append(typeof child === 'string' ? visible(child) : child);
  }
  return made;
}

function pairs(rows) {
  const list = document.createElement('dl');
  for (const [term, value] of rows) list.append(element('dt', term), element('dd', String(value)));
  return list;
}

function table(name, heads, rows) {
  const head = element('tr', ...heads.map((text) => cell('th', text, 'col')));
  const body = rows.slice(0, SHOWN).map((row) => {
    return element('tr', ...row.map((text, n) => (n ? cell('td', text) : cell('th', text, 'row'))));
  });
  const made = element('table', element('caption', name), element('thead', head));
  made.append(element('tbody', ...body));
  const frame = element('div', made);
  frame.className = 'wide';
  frame.tabIndex = 0;
  frame.setAttribute('role', 'region');
  frame.setAttribute('aria-label', name);
  if (rows.length > SHOWN)
    frame.append(element('p', `${SHOWN} / ${rows.length}; ${say(SAID.more)}`));
  return frame;
}

function cell(tag, text, scope = '') {
  const made = element(tag, String(text));
  if (scope) made.setAttribute('scope', scope);
  return made;
}

const section = (name, ...children) => element('section', element('h3', name), ...children);

function listed(name, entries) {
  const items = entries.map((pair) => element('li', say(pair)));
  return section(name, items.length ? element('ul', ...items) : element('p', say(SAID.nothing)));
}

const seconds = (us) => `${(us / 1000000).toFixed(3)} s`;
const worded = (words, word) => (words[word] ? say(words[word]) : word);

function trackRows(report) {
  return report.streams.flatMap((stream) =>
    stream.tracks.map((track) => [
      stream.stream,
      `${worded(SAID.media, track.medium)} ${track.codec}`,
      seconds(stream.claimed_us),
      seconds(stream.recorded_us[track.medium] ?? 0),
      worded(SAID.conversions, track.conversion),
      worded(SAID.parts, track.verdict),
    ]),
  );
}

function gapRows(report) {
  return report.streams.flatMap((stream) => [
    ...stream.gaps.map((gap) => {
      const cause = `${worded(SAID.media, gap.medium)} ${gap.cause}`;
      return [stream.stream, utcText(gap.from), utcText(gap.to), cause];
    }),
    ...stream.unexplained.map(([a, b]) => [
      stream.stream,
      utcText(a),
      utcText(b),
      say(SAID.unknown),
    ]),
    ...stream.withheld.map(([a, b]) => [stream.stream, utcText(a), utcText(b), say(SAID.withheld)]),
  ]);
}

function logSection(report) {
  const items = report.logs.map((log) => {
    const told = `${log.origin}: ${log.size} ${say(SAID.entries)}, ${say(SAID.key)} ${log.key}`;
    const names = log.witnesses.map((w) => element('li', `${w.name} ${utcText(w.at * 1000000)}`));
    return element('li', told, element('ul', ...names));
  });
  for (const stamp of report.stamps) {
    items.push(element('li', `${stamp.name} ${utcText(stamp.at)} (${stamp.origin} ${stamp.size})`));
  }
  return section(
    say(SAID.log),
    items.length ? element('ul', ...items) : element('p', say(SAID.noLog)),
  );
}

function trustSection({ trust }) {
  const name = say(SAID.trust);
  if (!trust) return section(name, element('p', say(SAID.plain)));
  const held = say(trust.checked ? SAID.keyChecked : SAID.keyUnchecked);
  const items = [
    `${trust.site}: ${say(SAID.version)} ${trust.version}, ${trust.day}, ${held}`,
    `SHA-256 ${trust.digest}`,
    ...trust.countersigned.map(
      (who) => `${say(SAID.countersigned)} ${who.name} ${utcText(who.at * 1000000)}`,
    ),
    ...trust.missing.map((who) => `${say(SAID.notCountersigned)} ${who}`),
  ];
  return section(name, element('ul', ...items.map((text) => element('li', text))));
}

function show() {
  const place = at('result');
  if (!last) return;
  const { report, policyDigest } = last;
  const verdict = element('p', say(SAID.verdicts[report.exit_code]));
  verdict.id = 'verdict';
  verdict.dataset.code = String(report.exit_code);
  const problems = report.problems.map((p) => [worded(SAID.kinds, p.kind), p.where, p.detail]);
  const heads = (...keys) => keys.map((key) => say(SAID[key]));
  const gaps = gapRows(report);
  place.replaceChildren(
    element('h2', say(SAID.result)),
    verdict,
    pairs([
      [say(SAID.package), report.package],
      [say(SAID.session), report.session ?? '-'],
      [say(SAID.sealed), say(report.sealed ? SAID.yes : SAID.no)],
      [say(SAID.digest), report.tagmanifest_sha256 || '-'],
      [say(SAID.policyDigest), policyDigest || '-'],
    ]),
    table(
      say(SAID.tracks),
      heads('stream', 'track', 'claimed', 'recorded', 'conversion', 'verdict'),
      trackRows(report),
    ),
    problems.length
      ? table(say(SAID.problems), heads('kind', 'where', 'what'), problems)
      : section(say(SAID.problems), element('p', say(SAID.noProblems))),
    gaps.length
      ? table(say(SAID.gaps), heads('stream', 'from', 'to', 'cause'), gaps)
      : section(say(SAID.gaps), element('p', say(SAID.noGaps))),
    ...(policyDigest ? [trustSection(report)] : []),
    logSection(report),
    listed(say(SAID.unproven), report.unproven),
    listed(say(SAID.notes), report.notes),
    listed(say(SAID.notChecked), report.not_checked),
    actions(),
  );
}

function actions() {
  const save = button(say(SAID.save), () => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([jsonOf(last.report)], { type: 'application/json' }));
    link.download = 'verification.json';
    link.click();
    URL.revokeObjectURL(link.href);
  });
  const made = element(
    'p',
    save,
    ' ',
    button(say(SAID.print), () => print()),
  );
  made.className = 'actions';
  return made;
}

function button(name, act) {
  const made = element('button', name);
  made.setAttribute('type', 'button');
  made.addEventListener('click', act);
  return made;
}

/** Give the report as the verifier in Python writes it: notes in English. */
function jsonOf(report) {
  const english = (entries) => entries.map((pair) => pair[1]);
  const { unproven, notes, not_checked } = report;
  const said = { unproven: english(unproven), notes: english(notes) };
  return JSON.stringify({ ...report, ...said, not_checked: english(not_checked) }, null, 1);
}

function speak() {
  document.documentElement.lang = language ? 'en' : 'zh-CN';
  document.title = say(SAID.title);
  for (const place of document.querySelectorAll('[data-say]')) {
    place.textContent = say(SAID[place.getAttribute('data-say')]);
  }
  at('language').lang = language ? 'zh-CN' : 'en';
  at('chosen').textContent = chosenName() ? visible(`${say(SAID.chosen)}: ${chosenName()}`) : '';
  show();
}

function chosenName() {
  return picked()?.name ?? '';
}

/** Give what was chosen last: dropped, a zip, or a folder. */
function picked() {
  if (chosen.dropped) return chosen.dropped;
  if (chosen.zip) return { name: chosen.zip.name, zip: chosen.zip };
  if (!chosen.folder?.length) return null;
  const folder = chosen.folder.map((file) => [file.webkitRelativePath, file]);
  return { name: folder[0][0].split('/')[0], folder };
}

async function walk(entry, path, out) {
  if (entry.isFile) {
    out.push([path, await new Promise((take, fail) => entry.file(take, fail))]);
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((take, fail) => reader.readEntries(take, fail));
    if (!some.length) return;
    for (const child of some) await walk(child, `${path}/${child.name}`, out);
  }
}

async function takeDropped(items) {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry);
  if (entries.length !== 1) return;
  const [entry] = entries;
  const found = [];
  await walk(entry, entry.name, found);
  chosen.dropped = entry.isFile
    ? { name: entry.name, zip: found[0][1] }
    : { name: entry.name, folder: found };
  speak();
}

async function run() {
  const what = picked();
  if (!what) {
    at('status').textContent = say(SAID.none);
    return;
  }
  const bar = at('progress');
  at('start').disabled = true;
  at('status').textContent = say(SAID.reading);
  at('report').textContent = '';
  bar.hidden = false;
  try {
    const policy = chosen.policy ? new Uint8Array(await chosen.policy.arrayBuffer()) : null;
    const report = await verifyPackage(what, {
      policy,
      policyKey: at('policy-key').value.trim() || null,
      sm3: at('sm3').checked,
      recordings: at('recordings').checked,
      onProgress: (done, all) => (bar.value = all ? done / all : 1),
    });
    last = { report, policyDigest: policy ? hexOf(digestOf('sha256', policy)) : '' };
    at('report').textContent = JSON.stringify(report);
    show();
    at('status').textContent = say(SAID.done);
  } catch (error) {
    // Whatever happens, the reader must see that there is no verdict.
    last = null;
    at('result').replaceChildren();
    at('status').textContent = visible(`${say(SAID.failed)}: ${error.message || error.name}`);
  }
  bar.hidden = true;
  at('start').disabled = false;
}

function begin() {
  const given = JSON.parse(at('given').textContent);
  useFormat(given.format);
  useWords(given.words);
  const choose = (id, take) =>
    at(id).addEventListener('change', (event) => {
      take([...event.target.files]);
      speak();
    });
  choose('folder', (files) => Object.assign(chosen, { folder: files, zip: null, dropped: null }));
  choose('zip', ([file]) => Object.assign(chosen, { zip: file ?? null, dropped: null }));
  choose('policy', ([file]) => (chosen.policy = file ?? null));
  at('start').addEventListener('click', run);
  at('language').addEventListener('click', () => {
    language = 1 - language;
    speak();
  });
  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    if (event.dataTransfer) takeDropped(event.dataTransfer.items);
  });
  speak();
}

begin();
