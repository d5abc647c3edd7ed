/** How loud an element's sound is right now, whether or not anybody hears it. */

/** Below this it is nothing, in dB below full scale. */
export const LEVEL_FLOOR = -80;
const EVERY_MS = 100;

/** The level of samples between −1 and 1, in dB below full scale. Pure. */
export function levelOf(samples: Float32Array): number {
  let squares = 0;
  for (const sample of samples) squares += sample * sample;
  const power = samples.length === 0 ? 0 : squares / samples.length;
  return power > 0 ? Math.max(LEVEL_FLOOR, 10 * Math.log10(power)) : LEVEL_FLOOR;
}

interface Captured extends HTMLMediaElement {
  captureStream?: () => MediaStream;
}

/**
 * Tells `onLevel` ten times a second while `media` plays, null while it stands or where the browser
 * cannot tell; gives how to stop. What is heard of the element does not change.
 */
export function watchLevel(
  media: HTMLMediaElement,
  onLevel: (level: number | null) => void,
): () => void {
  const capture = (media as Captured).captureStream;
  if (!capture || !('AudioContext' in window)) return () => {};
  let context: AudioContext | null = null;
  let analyser: AnalyserNode | null = null;
  const samples = new Float32Array(1024);
  const begin = () => {
    const stream = capture.call(media);
    if (stream.getAudioTracks().length === 0) return;
    context ??= new AudioContext();
    void context.resume();
    analyser?.disconnect();
    analyser = context.createAnalyser();
    analyser.fftSize = samples.length;
    context.createMediaStreamSource(stream).connect(analyser);
  };
  const timer = setInterval(() => {
    if (media.paused || media.readyState < 2) {
      onLevel(null);
      return;
    }
    if (!analyser) begin();
    if (!analyser || context?.state !== 'running') {
      void context?.resume();
      onLevel(null);
      return;
    }
    analyser.getFloatTimeDomainData(samples);
    onLevel(levelOf(samples));
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    void context?.close();
  };
}
