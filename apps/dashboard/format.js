// Numbers, sizes and times as text.

/** @param {number} x */
export function number(x) {
  return Number.isFinite(x) ? x.toLocaleString(undefined, { maximumFractionDigits: x < 10 ? 2 : x < 100 ? 1 : 0 }) : "–";
}

/** Short: 1.2 k, 3.4 M. @param {number} x */
export function short(x) {
  return x.toLocaleString(undefined, { notation: "compact", maximumFractionDigits: 1 });
}

/** @param {number} x */
export function bytes(x) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (x >= 1024 && at < units.length - 1) {
    x /= 1024;
    ++at;
  }
  return `${x.toLocaleString(undefined, { maximumFractionDigits: at === 0 || x >= 100 ? 0 : 1 })} ${units[at]}`;
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 0.001) return `${number(seconds * 1e6)} µs`;
  if (seconds < 1) return `${number(seconds * 1e3)} ms`;
  return `${number(seconds)} s`;
}

/** @param {string} rfc3339 */
export function moment(rfc3339) {
  const at = new Date(rfc3339);
  return at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
}

/** @param {string} rfc3339 */
export function clock(rfc3339) {
  return new Date(rfc3339).toLocaleTimeString(undefined, { hourCycle: "h23" });
}

/** "5 min ago". @param {string} rfc3339 */
export function ago(rfc3339) {
  const seconds = (Date.now() - Date.parse(rfc3339)) / 1000;
  if (seconds < 5) return "now";
  const [size, unit] = seconds < 60 ? [1, "s"] : seconds < 3600 ? [60, "min"] : seconds < 86400 ? [3600, "h"] : [86400, "d"];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}

/** @param {number} n @param {string} one @param {string} [many] */
export function plural(n, one, many = `${one}s`) {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}
