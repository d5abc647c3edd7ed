// The hash tree of RFC 9162, section 2.1.

import { same } from './bytes.js';
import { digestOf } from './hashes.js';

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export const leafOf = (data, name = 'sha256') => digestOf(name, LEAF, data);
const nodeOf = (left, right, name) => digestOf(name, NODE, left, right);

/** Give the root over leaf hashes. */
export function rootOf(leaves, name = 'sha256') {
  const peaks = [];
  leaves.forEach((leaf, size) => {
    let node = leaf;
    for (let rest = size; rest % 2; rest = (rest - 1) / 2) node = nodeOf(peaks.pop(), node, name);
    peaks.push(node);
  });
  if (!peaks.length) return digestOf(name);
  return peaks.reduceRight((node, peak) => nodeOf(peak, node, name));
}

// Sizes of logs may have more than the 32 bits that the language's own shifts know.
const half = (n) => Math.floor(n / 2);

export function verifyInclusion(leaf, index, size, path, root) {
  if (!(index >= 0 && index < size)) return false;
  let node = index;
  let last = size - 1;
  let value = leaf;
  for (const sibling of path) {
    if (last === 0) return false; // the path is longer than the tree is high
    if (node % 2 || node === last) {
      value = nodeOf(sibling, value, 'sha256');
      while (!(node % 2) && node) [node, last] = [half(node), half(last)];
    } else {
      value = nodeOf(value, sibling, 'sha256');
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && same(value, root);
}

const isPower = (n) => Number.isInteger(Math.log2(n)) && 2 ** Math.log2(n) === n;

export function verifyConsistency(old, size, oldRoot, newRoot, path) {
  if (!(old > 0 && old <= size)) return false;
  if (old === size) return !path.length && same(oldRoot, newRoot);
  const nodes = isPower(old) ? [oldRoot, ...path] : [...path];
  if (!nodes.length) return false;
  let [node, last] = [old - 1, size - 1];
  while (node % 2) [node, last] = [half(node), half(last)];
  let first = nodes[0];
  let second = nodes[0];
  for (const sibling of nodes.slice(1)) {
    if (last === 0) return false;
    if (node % 2 || node === last) {
      first = nodeOf(sibling, first, 'sha256');
      second = nodeOf(sibling, second, 'sha256');
      while (!(node % 2) && node) [node, last] = [half(node), half(last)];
    } else {
      second = nodeOf(second, sibling, 'sha256');
    }
    [node, last] = [half(node), half(last)];
  }
  return last === 0 && same(first, oldRoot) && same(second, newRoot);
}

function splitAt(size) {
  let at = 1;
  while (at * 2 < size) at *= 2;
  return at;
}

/** Rebuild a root from some leaf hashes ([number, hash], ascending) and those of what is withheld. */
export function rootFromDisclosed(size, shown, withheld, name) {
  if (size < 1 || shown.some(([n]) => n < 0 || n >= size)) {
    throw new RangeError('a disclosed leaf is not in the tree');
  }
  const rest = [...withheld].reverse();
  const walk = (low, high, inside) => {
    if (!inside.length) {
      if (!rest.length) throw new RangeError('hashes of withheld leaves are missing');
      return rest.pop();
    }
    if (high - low === 1) return inside[0][1];
    const middle = low + splitAt(high - low);
    const left = walk(
      low,
      middle,
      inside.filter(([n]) => n < middle),
    );
    const right = walk(
      middle,
      high,
      inside.filter(([n]) => n >= middle),
    );
    return nodeOf(left, right, name);
  };
  const value = walk(0, size, shown);
  if (rest.length) {
    throw new RangeError('there are more hashes of withheld leaves than the tree has');
  }
  return value;
}
