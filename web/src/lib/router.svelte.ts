/** Paths of the pages. Plain links work; a click on one does not reload. */

export interface Route {
  name:
    | 'wall'
    | 'sessions'
    | 'session'
    | 'cameras'
    | 'rosters'
    | 'break-glass'
    | 'keeping'
    | 'account'
    | 'approvals'
    | 'register'
    | 'entry'
    | 'audit'
    | 'users'
    | 'displays'
    | 'display'
    | 'home'
    | 'lost';
  id: string;
  query: URLSearchParams;
}

const PAGES = [
  'wall',
  'sessions',
  'cameras',
  'rosters',
  'break-glass',
  'keeping',
  'account',
  'approvals',
  'register',
  'audit',
  'users',
  'displays',
  'display',
] as const;

/** Which page an address names. */
export function parse(path: string, search: string): Route {
  const parts = path.split('/').filter(Boolean).map(decodeURIComponent);
  const query = new URLSearchParams(search);
  const [first, second] = parts;
  if (first === undefined) return { name: 'home', id: '', query };
  const page = PAGES.find((name) => name === first);
  if (parts.length === 1 && page) return { name: page, id: '', query };
  if (parts.length === 2 && first === 'sessions') return { name: 'session', id: second!, query };
  if (parts.length === 2 && first === 'register') return { name: 'entry', id: second!, query };
  return { name: 'lost', id: '', query };
}

let current = $state.raw<Route>(parse(location.pathname, location.search));

export function route(): Route {
  return current;
}

export function go(to: string, replace = false): void {
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  current = parse(location.pathname, location.search);
  if (!replace) window.scrollTo(0, 0);
}

/** Changes the query of the current page without a new entry in the history. */
export function setQuery(values: Record<string, string | null>): void {
  const query = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(values)) {
    if (value === null || value === '') query.delete(key);
    else query.set(key, value);
  }
  const text = query.toString();
  history.replaceState(null, '', location.pathname + (text ? `?${text}` : ''));
}

function follow(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest?.('a');
  if (!link || link.target || link.hasAttribute('download')) return;
  const to = new URL(link.href, location.href);
  if (to.origin !== location.origin || to.hash) return;
  event.preventDefault();
  go(to.pathname + to.search);
}

export function startRouter(): void {
  addEventListener('popstate', () => (current = parse(location.pathname, location.search)));
  document.addEventListener('click', follow);
}
