// What the page says, in both languages; what the verifier in Python says too comes with the page.

/** @type {any} */
export const NOTES = {
  noSm3: ['SM3 摘要(未要求核对)', 'SM3 digests (not asked for)'],
  report(number, since) {
    const later = since
      ? [`;此后另有 ${since} 条记录`, `; ${since} record(s) came after it`]
      : ['', ''];
    return [
      `固证报告 ${number}:场次根与记录相符${later[0]}`,
      `evidence report ${number}: its root is that of the records${later[1]}`,
    ];
  },
};

/** @type {any} */
export const SAID = {
  title: ['证据包校验', 'Verify a package'],
  lead: [
    '本页在您的电脑上核对证据包,不联网,不上传。请选择证据包文件夹或 ZIP 文件,也可拖放到本页。',
    'This page checks a package on your computer: no network, nothing is sent. Choose the folder or the zip, or drop it here.',
  ],
  caution: [
    '本页若来自证据包内,可能与包一同被改动。要据以下结论,请使用另行取得的本页,或 bidwitness verify。',
    'A page out of the package may have been changed with it. To rely on it, take it from elsewhere, or use bidwitness verify.',
  ],
  package: ['证据包', 'Package'],
  folder: ['证据包文件夹', 'The package as a folder'],
  zip: ['证据包 ZIP 文件', 'The package as a zip'],
  policy: ['信任材料(须从包外取得)', 'Trust material (from outside the package)'],
  policyHint: [
    '没有信任材料,结论最多为“自洽但未获证明”。',
    'Without it the best answer is "consistent but unproven".',
  ],
  policyKey: ['信任材料的签署公钥或其指纹', 'The key that signed it, or its fingerprint'],
  policyKeyHint: [
    '取自中心公布的纸面;未由该公钥签署的信任材料将被拒绝。留空则不核对。',
    "From the centre's paper: what this key has not signed is refused. Empty: not checked.",
  ],
  options: ['选项', 'Options'],
  sm3: ['同时核对 SM3(较慢)', 'Check SM3 as well (slower)'],
  recordings: ['读取录像的全部字节', 'Read every byte of the recordings'],
  start: ['开始校验', 'Verify'],
  language: ['English', '中文'],
  none: ['请先选择证据包。', 'Choose a package first.'],
  chosen: ['已选择', 'Chosen'],
  reading: ['正在校验…', 'Verifying…'],
  done: ['校验完成。', 'Done.'],
  failed: ['未能完成校验', 'It could not be finished'],
  result: ['校验结果', 'Result'],
  session: ['场次', 'Session'],
  sealed: ['固化', 'Sealed'],
  yes: ['是', 'yes'],
  no: ['否', 'no'],
  digest: ['包摘要(标签清单的 SHA-256)', "Digest (the tag manifest's SHA-256)"],
  policyDigest: ['信任材料的 SHA-256', "The trust material's SHA-256"],
  tracks: ['逐轨结论', 'Verdict by track'],
  stream: ['码流', 'Stream'],
  track: ['轨道', 'Track'],
  claimed: ['认领', 'Claimed'],
  recorded: ['已录', 'Recorded'],
  conversion: ['转存', 'Conversion'],
  verdict: ['结论', 'Verdict'],
  problems: ['发现的问题', 'Problems'],
  noProblems: ['未发现。', 'None was found.'],
  kind: ['种类', 'Kind'],
  where: ['所在', 'Where'],
  what: ['说明', 'What'],
  gaps: ['缺口与未披露', 'Gaps, and what is withheld'],
  noGaps: ['认领时间内无缺口,无整段未披露。', 'None within the claimed times.'],
  from: ['起(UTC)', 'From (UTC)'],
  to: ['止(UTC)', 'To (UTC)'],
  cause: ['原因', 'Cause'],
  withheld: ['未披露', 'withheld'],
  unknown: ['原因不明', 'unknown'],
  log: ['账本、共签与时间戳', 'Log, witnesses and time stamps'],
  noLog: ['没有符合信任材料的账本。', 'There is no log that the trust material speaks for.'],
  entries: ['条', 'entries'],
  key: ['公钥', 'key'],
  trust: ['信任材料', 'Trust material'],
  plain: ['未经签名。', 'It is not signed.'],
  version: ['版本', 'version'],
  keyChecked: ['已用所给公钥核对', 'checked against the key given'],
  keyUnchecked: ['未用包外公钥核对', 'NOT checked against a key'],
  countersigned: ['已共签', 'countersigned'],
  notCountersigned: ['未共签', 'NOT countersigned'],
  unproven: ['尚未证明', 'Not proven'],
  notes: ['说明', 'Notes'],
  notChecked: ['未检验', 'Not checked'],
  nothing: ['无。', 'None.'],
  save: ['保存结果(JSON)', 'Save the result (JSON)'],
  print: ['打印', 'Print'],
  more: ['其余见 JSON', 'the others are in the JSON'],
  conversions: {
    as_received: ['记录载明按原码存储', 'stored as received, as its records say'],
    not_checked: ['未还原比对', 'not rebuilt, not compared'],
    not_stated: ['记录未载明所收字节的摘要', 'no digest of what was received'],
    withheld: ['本包未披露其内容', 'nothing of it is in this package'],
  },
  parts: {
    authentic: ['真实', 'authentic'],
    not_authentic: ['不真实', 'NOT authentic'],
    consistent: ['自洽', 'consistent'],
  },
};

/** Take the words that came with the page. */
export function useWords(words) {
  Object.assign(NOTES, words.notes);
  Object.assign(SAID, words.said);
}
