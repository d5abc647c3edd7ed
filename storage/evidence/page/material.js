// Published trust material: who signed it, the history of its keys, and the policy that it ends in.

import { BadNote, BadPolicy, encoded, hexOf, shownAscii, sorted } from './bytes.js';
import { digestOf } from './hashes.js';
import { ED25519, knowsEd25519, readKey, readNote, readPolicy, verifiedBy } from './note.js';
import { NOTES } from './words.js';

const MAX_MATERIAL = 2000000;
const HEAD = ['site', 'version', 'day', 'previous', 'centre'];
const SITE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const COUNT = /^[1-9][0-9]{0,5}$/;
const ISO_DAY = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/;
const BEFORE = /^(none|[0-9a-f]{64})$/;
const REASON = ' | ';

/**
 * Read trust material, published or bare. `key`: one, or its fingerprint, that it must be signed by,
 * or null. Throws BadPolicy.
 */
export async function readTrust(bytes, key) {
  const title = encoded(`${NOTES.materialTitle}\n`);
  if (!title.every((byte, n) => bytes[n] === byte)) {
    if (key !== null) {
      throw new BadPolicy('the policy is not signed: it is not what was published with that key');
    }
    return { policy: readPolicy(bytes), facts: null, notes: [NOTES.plainPolicy] };
  }
  try {
    return await readMaterial(bytes, key);
  } catch (error) {
    if (!(error instanceof BadNote)) throw error;
    throw new BadPolicy(`the trust material: ${error.message}`);
  }
}

async function readMaterial(bytes, key) {
  const note = readNote(bytes, MAX_MATERIAL);
  const { site, version, day, centre, policy } = readText(note.text);
  let signed = new Map();
  if (await knowsEd25519()) {
    if ((await verifiedBy(note, centre)) === null) {
      throw new BadPolicy('the trust material is not signed by the centre that it names');
    }
    signed = await policy.cosigned(note);
  } else if (key !== null) {
    throw new BadPolicy('this browser does not know Ed25519: nothing can be held against the key');
  }
  const signers = [centre, ...[...signed.keys()].map((name) => policy.witnesses.get(name))];
  // On paper a fingerprint stands in groups.
  const given = key?.replace(/\s+/g, '');
  if (key !== null && !signers.some((s) => given === s.text || given === s.fingerprint)) {
    throw new BadPolicy('the trust material is not signed by the key that was given');
  }
  const facts = {
    site,
    version,
    day,
    digest: hexOf(digestOf('sha256', encoded(note.text))),
    checked: key !== null,
    countersigned: sorted(signed.keys()).map((name) => ({ name, at: signed.get(name) })),
    missing: sorted(policy.witnesses.keys()).filter((name) => !signed.has(name)),
  };
  return { policy, facts, notes: key === null ? [NOTES.noPolicyKey] : [] };
}

function parted(text, by) {
  const at = text.indexOf(by);
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + by.length)];
}

function readText(text) {
  const [head, rest] = parted(text, '\n\nhistory\n');
  const [middle, lines] = parted(rest ?? '', '\n\npolicy\n');
  const [title, ...said] = head.split('\n');
  if (lines === null || said.length !== HEAD.length || title !== NOTES.materialTitle) {
    throw new BadPolicy('the trust material has not the form of its first version');
  }
  const [site, version, day, previous, centre] = said.map((line, n) => {
    const [word, value] = parted(line, ' ');
    if (word !== HEAD[n]) throw new BadPolicy(`the trust material does not say its ${HEAD[n]}`);
    return value ?? '';
  });
  if (
    ![SITE.test(site), COUNT.test(version), ISO_DAY.test(day), BEFORE.test(previous)].every(Boolean)
  )
    throw new BadPolicy('site, version, day or previous version is not well written');
  if ((version === '1') !== (previous === 'none')) {
    throw new BadPolicy('only the first version has none before it');
  }
  const key = readKey(centre);
  if (key.kind !== ED25519) throw new BadPolicy("the centre's key is a key for something else");
  const history = middle.split('\n').map(readChange);
  const policy = readPolicy(encoded(lines));
  checkHistory(history, Number(version), day, policy);
  return { site, version: Number(version), day, centre: key, policy };
}

function readChange(line) {
  const [version, day, sign, ...rest] = line.split(' ');
  const [what, reason] = parted(rest.join(' '), REASON);
  const wrong =
    !rest.length ||
    !COUNT.test(version) ||
    !ISO_DAY.test(day) ||
    !['+', '-'].includes(sign) ||
    reason === '' ||
    (sign === '-' && reason === null);
  if (wrong) {
    throw new BadPolicy(`a line of the history is not well written: ${shownAscii(line)}`);
  }
  return { version: Number(version), day, comes: sign === '+', what };
}

/** See that the history, told from its beginning, ends in the policy that stands below it. */
function checkHistory(history, version, day, policy) {
  const present = new Set();
  let [lastVersion, lastDay] = [1, ''];
  for (const change of history) {
    if (change.version < lastVersion || change.day < lastDay) {
      throw new BadPolicy('the history goes back in time');
    }
    if (present.has(change.what) === change.comes) {
      const how = change.comes ? 'comes twice' : 'goes and never came';
      throw new BadPolicy(`in the history ${shownAscii(change.what)} ${how}`);
    }
    if (change.comes) present.add(change.what);
    else present.delete(change.what);
    [lastVersion, lastDay] = [change.version, change.day];
  }
  if (lastVersion > version || lastDay > day) {
    throw new BadPolicy('the history is of a later version than this one');
  }
  const said = new Set(identities(policy));
  const differing = [...said].filter((what) => !present.has(what));
  differing.push(...[...present].filter((what) => !said.has(what)));
  for (const what of sorted(differing)) {
    const where = said.has(what) ? 'is trusted but not in the history' : 'has DISAPPEARED from it';
    throw new BadPolicy(`the policy is not that of its history: ${shownAscii(what)} ${where}`);
  }
}

/** Give what a policy says, a line each, as the history names it: certificates by SHA-256. */
function identities(policy) {
  const digest = (certificate) => `sha256:${hexOf(digestOf('sha256', certificate))}`;
  return [
    ...policy.logs.map((key) => `log ${key.text}`),
    ...policy.recorders.map((key) => `recorder ${key.text}`),
    ...policy.reports.map((item) => `report ${digest(item)}`),
    ...[...policy.witnesses].map(([name, key]) => `witness ${name} ${key.text}`),
    ...[...policy.groups].map(([name, g]) => `group ${name} ${g.needed} ${g.members.join(' ')}`),
    ...[...policy.timestamps].map(
      ([name, chain]) => `timestamp ${name} ${chain.map(digest).join()}`,
    ),
    `quorum ${policy.quorum}`,
  ];
}
