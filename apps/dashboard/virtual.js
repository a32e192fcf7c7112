// A list of which only what is in view exists. Rows have any height, 0 where render answers null. Heights are sums in a
// Fenwick tree, so finding a row costs log n.

const overscan_px = 600; // rendered above and below the view

/**
 * What scrolls, the height in pixels of a row that was not seen yet, and who is told what is in view, `to` included.
 * @typedef {{ scroller: HTMLElement; estimate: number; render: (index: number) => HTMLElement | null; onRange?: (from: number, to: number) => void }} Rows
 */

export class Virtual {
  #rows;
  #count = 0;
  #tree = new Float64Array(1);
  #heights = new Float32Array(0);
  #body = document.createElement("div");
  /** @type {Map<number, HTMLElement | null>} */
  #shown = new Map();
  #scheduled = false;
  #sizes = new ResizeObserver((entries) => this.#resized(entries));

  /** @param {Rows} rows @param {AbortSignal} signal */
  constructor(rows, signal) {
    this.#rows = rows;
    this.#body.className = "virtual-body";
    this.#body.setAttribute("role", "presentation");
    rows.scroller.append(this.#body);
    rows.scroller.addEventListener("scroll", () => this.schedule(), { passive: true });
    this.#sizes.observe(rows.scroller);
    signal.addEventListener("abort", () => this.#sizes.disconnect());
  }

  get count() {
    return this.#count;
  }

  /** @param {number} count */
  setCount(count) {
    if (count > this.#heights.length) {
      const grown = new Float32Array(Math.max(count, this.#heights.length * 2, 64)).fill(this.#rows.estimate);
      grown.set(this.#heights.subarray(0, this.#count));
      this.#heights = grown;
      this.#rebuild();
    } else if (count < this.#count) {
      this.#heights.fill(this.#rows.estimate, count);
      this.#rebuild();
    }
    this.#count = count;
    for (const index of [...this.#shown.keys()]) if (index >= count) this.#drop(index);
    this.schedule();
  }

  /** Forgets what was rendered, of one row or of all. @param {number} [from] @param {number} [to] included */
  refresh(from = 0, to = this.#count - 1) {
    for (const index of [...this.#shown.keys()]) if (index >= from && index <= to) this.#drop(index);
    this.schedule();
  }

  /** Forgets heights, too: other rows stand here now. */
  reset() {
    this.refresh();
    this.#heights.fill(this.#rows.estimate);
    this.#rebuild();
  }

  get atEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.#rows.scroller;
    return scrollTop + clientHeight >= scrollHeight - 40;
  }

  /** Brings a row to the top of the view, or the end of the list to its bottom. @param {number} index */
  scrollTo(index) {
    for (let i = 0; i < 4; ++i) {
      this.#rows.scroller.scrollTop = index >= this.#count - 1 ? this.#rows.scroller.scrollHeight : this.#before(index);
      this.layout();
    }
  }

  schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.layout();
    });
  }

  /** Renders what is in view, measures it, and keeps the first row of the view where it is. */
  layout() {
    const { scroller, onRange } = this.#rows;
    if (this.#count === 0) {
      this.#body.style.height = "0";
      return;
    }
    let from = 0;
    let to = -1;
    for (let attempt = 0; attempt < 4; ++attempt) {
      this.#body.style.height = `${this.#before(this.#count)}px`;
      const top = scroller.scrollTop;
      const anchor = this.#at(top);
      const offset = top - this.#before(anchor);
      from = this.#at(top - overscan_px);
      to = this.#at(top + scroller.clientHeight + overscan_px);
      const fresh = this.#renderRange(from, to);
      const changed = this.#measure(fresh);
      if (!changed) break;
      this.#body.style.height = `${this.#before(this.#count)}px`;
      const moved = this.#before(anchor) + offset;
      if (Math.abs(moved - top) >= 1) scroller.scrollTop = moved;
    }
    for (const [index, row] of this.#shown) if (row) row.style.transform = `translateY(${this.#before(index)}px)`;
    onRange?.(from, to);
  }

  /** @param {number} from @param {number} to */
  #renderRange(from, to) {
    for (const [index, row] of [...this.#shown]) {
      const used = row?.contains(document.activeElement); // the keyboard is there: it stays
      if ((index < from || index > to) && !used) this.#drop(index);
    }
    const fresh = [];
    /** @type {Node | null} */
    let behind = this.#body.firstChild;
    for (let index = from; index <= to; ++index) {
      let row = this.#shown.get(index);
      if (row === undefined) {
        row = this.#rows.render(index);
        this.#shown.set(index, row);
        fresh.push(index);
        if (row) {
          this.#body.insertBefore(row, behind);
          this.#sizes.observe(row);
        }
      } else if (row) {
        behind = row.nextSibling;
      }
    }
    return fresh;
  }

  /** @param {number[]} indexes @returns whether a height is another one */
  #measure(indexes) {
    let changed = false;
    for (const index of indexes) changed = this.#setHeight(index, this.#shown.get(index)?.offsetHeight ?? 0) || changed;
    return changed;
  }

  /** @param {ResizeObserverEntry[]} entries */
  #resized(entries) {
    let changed = false;
    for (const entry of entries) {
      const [index, row] = [...this.#shown].find(([, shown]) => shown === entry.target) ?? [];
      if (index === undefined || !row) changed = true; // the list itself
      else changed = this.#setHeight(index, row.offsetHeight) || changed;
    }
    if (changed) this.schedule();
  }

  /** @param {number} index */
  #drop(index) {
    const row = this.#shown.get(index);
    this.#shown.delete(index);
    if (!row) return;
    this.#sizes.unobserve(row);
    row.remove();
  }

  // Sums of heights -------------------------------------------------------------------------------

  #rebuild() {
    const n = this.#heights.length;
    this.#tree = new Float64Array(n + 1);
    for (let i = 1; i <= n; ++i) {
      this.#tree[i] += this.#heights[i - 1];
      const parent = i + (i & -i);
      if (parent <= n) this.#tree[parent] += this.#tree[i];
    }
  }
  /** @param {number} index @param {number} height */
  #setHeight(index, height) {
    const grown = height - this.#heights[index];
    if (Math.abs(grown) < 0.5) return false;
    this.#heights[index] = height;
    for (let i = index + 1; i < this.#tree.length; i += i & -i) this.#tree[i] += grown;
    return true;
  }
  /** The height of all rows in front of one. @param {number} index */
  #before(index) {
    let sum = 0;
    for (let i = index; i > 0; i -= i & -i) sum += this.#tree[i];
    return sum;
  }
  /** The row at a height, of those that there are. @param {number} y */
  #at(y) {
    let index = 0;
    for (let step = 1 << (31 - Math.clz32(this.#tree.length)); step > 0; step >>= 1) {
      const next = index + step;
      if (next < this.#tree.length && this.#tree[next] <= y) {
        y -= this.#tree[next];
        index = next;
      }
    }
    return Math.max(0, Math.min(index, this.#count - 1));
  }
}
