/** Asks again and again, one at a time, and not while nobody looks. */

/** Starts at once; `ask` handles its own failures. The returned function ends it. */
export function poll(ask: (signal: AbortSignal) => Promise<void>, everyMs: number): () => void {
  const abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asking = false;

  async function round(): Promise<void> {
    if (asking || abort.signal.aborted) return;
    clearTimeout(timer);
    asking = true;
    try {
      if (document.visibilityState === 'visible') await ask(abort.signal);
    } finally {
      asking = false;
      if (!abort.signal.aborted) timer = setTimeout(() => void round(), everyMs);
    }
  }

  const wake = () => {
    if (document.visibilityState === 'visible') void round();
  };
  document.addEventListener('visibilitychange', wake, { signal: abort.signal });
  void round();
  return () => {
    clearTimeout(timer);
    abort.abort();
  };
}
