import type { Me } from '../api/types';

/** What stands over every picture: viewer, department, address and time. */
export function marked(who: Me | null, time: string): string {
  return [who?.name, who?.username, who?.department, who?.address, time]
    .filter((part, place, all) => part && all.indexOf(part) === place)
    .join('  ');
}
