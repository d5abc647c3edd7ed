import type { Me } from '../api/types';

/** What stands over every picture: the display it is on, viewer, department, address and time. */
export function marked(who: Me | null, time: string, place = ''): string {
  return [place, who?.name, who?.username, who?.department, who?.address, time]
    .filter((part, place, all) => part && all.indexOf(part) === place)
    .join('  ');
}
