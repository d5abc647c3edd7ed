// Put into a page before its own code. Notes when live sockets open and, through the page's own
// frame callbacks, when which frame of a virtual camera is on the screen: the number is read from
// the bar code in the picture itself.
(() => {
  const COLUMNS = 40;
  const CELLS = 26;
  const PIXELS = 4;
  const bench = { sockets: [], tiles: [], every: 1, marks: {} };
  window.bidwitnessBench = bench;

  const NativeSocket = window.WebSocket;
  window.WebSocket = class extends NativeSocket {
    constructor(...given) {
      super(...given);
      const socket = { url: this.url, opened: null };
      this.addEventListener('open', () => (socket.opened = performance.now()));
      bench.sockets.push(socket);
    }
  };

  const canvas = document.createElement('canvas');
  canvas.width = COLUMNS * PIXELS;
  canvas.height = 2;
  const context = canvas.getContext('2d', { willReadFrequently: true });

  function checked(number) {
    let rest = number << 10;
    for (let bit = 11; bit >= 0; bit--) if ((rest >> (bit + 10)) & 1) rest ^= 0x633 << bit;
    return ~rest & 0x3ff;
  }

  bench.read = (video) => {
    const cell = video.videoWidth / COLUMNS;
    const { width, height } = canvas;
    context.drawImage(video, 0, 1.3 * cell, video.videoWidth, 0.4 * cell, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    const bits = [];
    for (let at = 1; at <= CELLS; at++) {
      const left = (at * PIXELS + 1) * 4;
      bits.push(data[left + 1] + data[left + 5] > 250 ? 1 : 0);
    }
    const word = bits.slice(2, -2).reduce((sum, bit) => sum * 2 + bit, 0);
    const number = word >> 10;
    const framed = bits[0] && !bits[1] && bits[CELLS - 2] && !bits[CELLS - 1];
    return framed && checked(number) === (word & 0x3ff) ? number : null;
  };

  const tiles = new WeakMap();
  function paint(video, frame) {
    let tile = tiles.get(video);
    if (!tile) {
      tile = { name: video.closest('figure')?.dataset.tile ?? '', video, count: 0, paints: [] };
      tiles.set(video, tile);
      bench.tiles.push(tile);
    }
    const last = tile.paints.at(-1);
    if (last && last.presented === frame.presentedFrames) return;
    const at = Math.max(frame.presentationTime, frame.expectedDisplayTime);
    const number = tile.count++ % bench.every === 0 ? bench.read(video) : null;
    tile.paints.push({ at, media: frame.mediaTime, presented: frame.presentedFrames, number });
  }
  const request = HTMLVideoElement.prototype.requestVideoFrameCallback;
  HTMLVideoElement.prototype.requestVideoFrameCallback = function (callback) {
    return request.call(this, (now, frame) => {
      paint(this, frame);
      callback(now, frame);
    });
  };

  // What to add to the page's monotonic time for UTC, in ms. The clock of dates counts whole ms.
  bench.offset = () => {
    let most = -Infinity;
    const until = performance.now() + 30;
    while (performance.now() < until) most = Math.max(most, Date.now() - performance.now());
    return most;
  };

  bench.take = () => {
    const found = bench.tiles
      .filter((tile) => tile.video.isConnected)
      .map(({ name, paints }) => ({ name, paints }));
    return { offset: bench.offset(), sockets: bench.sockets, tiles: found, marks: bench.marks };
  };

  bench.reset = (every) => {
    bench.every = every;
    bench.sockets = [];
    bench.marks = {};
    for (const tile of bench.tiles) tile.paints = [];
    bench.tiles = bench.tiles.filter((tile) => tile.video.isConnected);
  };
})();
