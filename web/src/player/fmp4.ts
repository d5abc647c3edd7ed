/** The little that the player reads from fragments itself: how many samples they hold. Pure. */

function boxes(
  view: DataView,
  from: number,
  to: number,
  visit: (type: string, from: number, to: number) => void,
): void {
  let at = from;
  while (at + 8 <= to) {
    const short = view.getUint32(at);
    const long = short === 1 && at + 16 <= to;
    const size = long ? Number(view.getBigUint64(at + 8)) : short === 0 ? to - at : short;
    const header = long ? 16 : 8;
    // A size that cannot be true ends the walk; what was counted so far stands.
    if (size < header || at + size > to) return;
    const type = String.fromCharCode(
      view.getUint8(at + 4),
      view.getUint8(at + 5),
      view.getUint8(at + 6),
      view.getUint8(at + 7),
    );
    visit(type, at + header, at + size);
    at += size;
  }
}

/** Samples in all fragments (`moof`) of `bytes`, which hold one track. */
export function sampleCount(bytes: ArrayBuffer): number {
  const view = new DataView(bytes);
  let count = 0;
  boxes(view, 0, view.byteLength, (type, from, to) => {
    if (type !== 'moof') return;
    boxes(view, from, to, (inner, start, end) => {
      if (inner !== 'traf') return;
      boxes(view, start, end, (run, place) => {
        if (run === 'trun') count += view.getUint32(place + 4);
      });
    });
  });
  return count;
}
