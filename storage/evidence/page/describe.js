// What a package holds of a stream and of its tracks, within the session's claims.

import { sorted } from './bytes.js';
import { intersect, subtract, total } from './chain.js';
import { mediaPath, overlapping } from './media.js';
import { endOf, startOf } from './records.js';

export function describe(files, id, stream) {
  const segments = stream.links.map((link) => link.record).filter((r) => r.t === 'segment');
  const out = {
    stream: id,
    verdict: '',
    claimed: stream.claimed,
    claimed_us: total(stream.claimed),
  };
  Object.assign(out, { segments: 0, partial: 0, withheld: [], bytes: 0, recorded_us: {} });
  const there = [];
  for (const record of segments) {
    const file = files.get(mediaPath(record));
    const disclosure = stream.disclosures.get(`${record.day}#${record.seq}`);
    if (file) {
      out.segments++;
      out.bytes += file.size;
      out.partial += disclosure ? 1 : 0;
      there.push(record);
    } else if (overlapping(record, stream.claimed)) {
      out.withheld.push(...intersect([record.wall], stream.claimed));
    }
  }
  const covered = stream.covered.map((link) => link.record);
  for (const medium of sorted(new Set(segments.flatMap(mediaOf)))) {
    out.recorded_us[medium] = total(intersect(recordedSpans(covered, medium), stream.claimed));
  }
  out.gaps = covered
    .filter((record) => record.t === 'gap')
    .flatMap((gap) =>
      intersect([[gap.from, gap.to]], stream.claimed).map(([from, to]) => ({
        cause: gap.cause,
        medium: gap.medium,
        from,
        to,
      })),
    );
  const known = [...segments.map((record) => record.wall), ...out.gaps.map((g) => [g.from, g.to])];
  out.unexplained = subtract(stream.claimed, known);
  out.tracks = tracksOf(there);
  return out;
}

function mediaOf(record) {
  const filled = new Set(record.media.filter((media) => media.frames).map((media) => media.track));
  return record.tracks.filter((track) => filled.has(track.id)).map((track) => track.medium);
}

export function recordedSpans(records, medium) {
  const held = records.filter((r) => r.t === 'segment' && mediaOf(r).includes(medium));
  const lost = records.filter((r) => r.t === 'gap' && [medium, 'all'].includes(r.medium));
  return subtract(
    held.map((r) => r.wall),
    lost.map((r) => [startOf(r), endOf(r)]),
  );
}

/** Give the tracks of some files. What a track was converted from is not rebuilt here. */
function tracksOf(records) {
  const found = new Map();
  const worst = ['not_checked', 'not_stated', 'as_received', 'withheld'];
  for (const record of records) {
    const filled = new Set(record.media.filter((m) => m.frames).map((m) => m.track));
    for (const track of record.tracks.filter((t) => filled.has(t.id))) {
      const source = track.source_codec ?? null;
      const key = `${track.medium}\0${track.codec}\0${source ?? ''}`;
      const { medium, codec } = track;
      const fresh = {
        medium,
        codec,
        source_codec: source,
        verdict: '',
        files: 0,
        conversion: 'withheld',
      };
      const out = found.get(key) ?? { ...fresh, fragments: 0, fragments_rebuilt: 0 };
      found.set(key, out);
      out.files++;
      let now = 'as_received';
      if (source) now = record.g711?.codec === source ? 'not_checked' : 'not_stated';
      if (now === 'not_checked') out.fragments += record.g711.sha256.length;
      if (worst.indexOf(now) < worst.indexOf(out.conversion)) out.conversion = now;
    }
  }
  return sorted(found.keys()).map((key) => found.get(key));
}
