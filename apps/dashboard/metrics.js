// Prometheus' text format, and what the difference of two samples tells.

/**
 * @typedef {object} Sample
 * @property {number} at  milliseconds since 1970
 * @property {Map<string, number>} values  of the metrics without labels
 * @property {Map<string, [number, number][]>} histograms  name -> [upper bound, how many at or below], ascending
 */

/** @param {string} text @param {number} at @returns {Sample} */
export function parseMetrics(text, at) {
  /** @type {Sample} */
  const out = { at, values: new Map(), histograms: new Map() };
  for (const line of text.split("\n")) {
    if (!/^(troupe|process)_/.test(line)) continue;
    const [, name, labels, value] = /^([a-z0-9_]+)(\{[^}]*\})? (\S+)/.exec(line) ?? [];
    if (!name) continue;
    if (!labels) {
      out.values.set(name, Number(value));
      continue;
    }
    const bound = /^\{le="([^"]+)"\}$/.exec(labels)?.[1];
    if (bound === undefined || !name.endsWith("_bucket")) continue;
    const of = name.slice(0, -"_bucket".length);
    const held = out.histograms.get(of) ?? [];
    held.push([bound === "+Inf" ? Infinity : Number(bound), Number(value)]);
    out.histograms.set(of, held);
  }
  return out;
}

/** Growth per second, or null when it is not known (a restart counts from 0 again). @param {Sample} a @param {Sample} b @param {string} name */
export function rate(a, b, name) {
  const from = a.values.get(name);
  const to = b.values.get(name);
  const seconds = (b.at - a.at) / 1000;
  if (from === undefined || to === undefined || to < from || seconds <= 0) return null;
  return (to - from) / seconds;
}

/** How many fell into each bucket between two samples: [upper bound, how many]. @param {Sample} a @param {Sample} b @param {string} name */
export function between(a, b, name) {
  const before = a.histograms.get(name);
  const after = b.histograms.get(name);
  if (!before || !after || before.length !== after.length) return [];
  let below = 0;
  return after.map(([bound, n], i) => {
    const grown = n - before[i][1];
    const own = Math.max(0, grown - below);
    below = grown;
    return /** @type {[number, number]} */ ([bound, own]);
  });
}

/** A quantile, linear within a bucket; null of none; the lower bound of one that is open. @param {[number, number][]} buckets @param {number} q */
export function quantile(buckets, q) {
  const all = buckets.reduce((sum, [, n]) => sum + n, 0);
  if (all === 0) return null;
  let below = 0;
  let lower = 0;
  for (const [bound, n] of buckets) {
    if (n > 0 && below + n >= q * all) {
      return bound === Infinity ? lower : lower + ((bound - lower) * (q * all - below)) / n;
    }
    below += n;
    lower = bound;
  }
  return lower;
}
