/** Light or dark: the system's until the user chose. */

const KEY = 'bidwitness.theme';
const preferred = matchMedia('(prefers-color-scheme: dark)');

let chosen = $state(localStorage.getItem(KEY));
let system = $state(preferred.matches ? 'dark' : 'light');

export function theme(): string {
  return chosen ?? system;
}

function apply(): void {
  document.documentElement.dataset.theme = theme();
}

export function startTheme(): void {
  preferred.addEventListener('change', () => {
    system = preferred.matches ? 'dark' : 'light';
    apply();
  });
  apply();
}

export function toggleTheme(): void {
  chosen = theme() === 'dark' ? 'light' : 'dark';
  localStorage.setItem(KEY, chosen);
  apply();
}
