/** Single-key commands of the replay; the page may switch them off (WCAG 2.1.4). */

export type Command =
  | {
      do:
        | 'toggle'
        | 'play'
        | 'pause'
        | 'faster'
        | 'backward'
        | 'mute'
        | 'full'
        | 'in'
        | 'out'
        | 'snapshot'
        | 'marker';
    }
  | { do: 'skip'; seconds: number }
  | { do: 'frame'; by: 1 | -1 }
  | { do: 'focus'; index: number };

interface Key {
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** The command of a key press, or null where the key belongs to the browser or to nothing. */
export function commandOf(event: Key): Command | null {
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  const step = event.shiftKey ? 1 : 5;
  switch (event.key) {
    case ' ':
      return { do: 'toggle' };
    case 'ArrowLeft':
      return { do: 'skip', seconds: -step };
    case 'ArrowRight':
      return { do: 'skip', seconds: step };
    case ',':
      return { do: 'frame', by: -1 };
    case '.':
      return { do: 'frame', by: 1 };
    case '[':
      return { do: 'in' };
    case ']':
      return { do: 'out' };
  }
  switch (event.key.toLowerCase()) {
    case 'j':
      return { do: 'backward' };
    case 'k':
      return { do: 'pause' };
    case 'l':
      return { do: 'faster' };
    case 'm':
      return { do: 'mute' };
    case 'f':
      return { do: 'full' };
    case 's':
      return { do: 'snapshot' };
    case 'n':
      return { do: 'marker' };
  }
  if (/^[1-9]$/.test(event.key)) return { do: 'focus', index: Number(event.key) - 1 };
  return null;
}

/** Whether the pressed key is being typed into, or belongs to, the element that has the focus. */
export function isTyping(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.closest('dialog')) return true;
  const tag = target.tagName;
  if (tag === 'INPUT' || tag === 'TEXTAREA' || tag === 'SELECT') return true;
  const role = target.getAttribute('role');
  if (role === 'slider' && key.startsWith('Arrow')) return true;
  return key === ' ' && (tag === 'BUTTON' || tag === 'SUMMARY' || tag === 'A');
}
