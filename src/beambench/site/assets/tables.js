// Tables that can be filtered and sorted. Without this script they are whole and in their own order.
(function () {
  "use strict";

  const DELAY_MS = 120;

  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function rowsOf(table) {
    return Array.from(table.tBodies).flatMap((body) => Array.from(body.rows));
  }

  function cellValue(row, column, type) {
    const cell = row.cells[column];
    if (!cell) return null;
    const text = cell.dataset.value !== undefined ? cell.dataset.value : cell.textContent.trim();
    if (type === "text") return text === "" ? null : text;
    if (text === "") return null;
    const number = type === "time" && Number.isNaN(Number(text)) ? Date.parse(text) : Number(text);
    return Number.isNaN(number) ? null : number;
  }

  // What has no value comes last in either order: it is unknown, neither small nor large.
  function compare(first, second, sign) {
    if (first === null || second === null) return (first === null) - (second === null);
    if (typeof first === "string") {
      return sign * first.localeCompare(second, "en", { numeric: true, sensitivity: "base" });
    }
    return sign * (first - second);
  }

  function sort(table, column, direction) {
    const heading = table.tHead.rows[table.tHead.rows.length - 1].cells[column];
    const type = heading.dataset.type || "text";
    const sign = direction === "ascending" ? 1 : -1;
    for (const body of table.tBodies) {
      const rows = Array.from(body.rows);
      const values = new Map(rows.map((row) => [row, cellValue(row, column, type)]));
      rows.sort((a, b) => compare(values.get(a), values.get(b), sign));
      body.append(...rows);
    }
    for (const other of table.tHead.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", direction);
  }

  function makeSortable(table, state) {
    const headings = Array.from(table.tHead.rows[table.tHead.rows.length - 1].cells);
    headings.forEach((heading, column) => {
      if (heading.dataset.type === undefined) return;
      const button = element("button", { type: "button" }, ...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        // The first click shows what is largest or newest of numbers and times, and A first of text.
        const first = heading.dataset.type === "text" ? "ascending" : "descending";
        const second = first === "ascending" ? "descending" : "ascending";
        state.column = column;
        state.direction = heading.getAttribute("aria-sort") === first ? second : first;
        sort(table, state.column, state.direction);
        state.changed();
      });
    });
  }

  function flagsOf(rows) {
    const counts = new Map();
    for (const row of rows) {
      for (const flag of (row.dataset.flags || "").split(" ").filter(Boolean)) {
        counts.set(flag, (counts.get(flag) || 0) + 1);
      }
    }
    return counts;
  }

  function show(rows, state, output) {
    const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const flags = (row.dataset.flags || "").split(" ");
      const fits =
        words.every((word) => text.includes(word)) && state.flags.every((flag) => flags.includes(flag));
      row.hidden = !fits;
      shown += fits;
    }
    output.textContent = shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
  }

  function chip(flag, count, state, refresh) {
    const button = element("button", { type: "button", textContent: `${flag} ${count}` });
    button.dataset.flag = flag;
    const mark = () => button.setAttribute("aria-pressed", String(state.flags.includes(flag)));
    button.addEventListener("click", () => {
      state.flags = state.flags.includes(flag)
        ? state.flags.filter((other) => other !== flag)
        : [...state.flags, flag];
      mark();
      refresh();
    });
    mark();
    return button;
  }

  function makeFilterable(table, state) {
    const rows = rowsOf(table);
    const output = element("output", {});
    const refresh = () => {
      show(rows, state, output);
      state.changed();
    };
    const input = element("input", { type: "search", placeholder: table.dataset.filter, value: state.text });
    input.setAttribute("aria-label", table.dataset.filter);
    let timer;
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        state.text = input.value;
        refresh();
      }, DELAY_MS);
    });
    const tools = element("div", { className: "table-tools" }, input);
    for (const [flag, count] of flagsOf(rows)) tools.append(chip(flag, count, state, refresh));
    tools.append(output);
    (table.closest(".table-scroll") || table).before(tools);
    show(rows, state, output);
  }

  // What one table shows stands in the address, so that it can be sent to someone.
  function savedState(key) {
    const saved = new URLSearchParams(location.hash.slice(1));
    const [column, direction] = (saved.get(`${key}sort`) || "").split(" ");
    const state = {
      text: saved.get(`${key}filter`) || "",
      flags: saved.getAll(`${key}flag`),
      column: /^\d+$/.test(column) ? Number(column) : null,
      direction: direction === "descending" ? "descending" : "ascending",
    };
    state.changed = () => {
      const now = new URLSearchParams(location.hash.slice(1));
      for (const name of ["filter", "flag", "sort"]) now.delete(key + name);
      if (state.text) now.set(`${key}filter`, state.text);
      for (const flag of state.flags) now.append(`${key}flag`, flag);
      if (state.column !== null) now.set(`${key}sort`, `${state.column} ${state.direction}`);
      const text = now.toString();
      history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
    };
    return state;
  }

  function start() {
    document.querySelectorAll("table[data-sortable], table[data-filter]").forEach((table, number) => {
      const state = savedState(number === 0 ? "" : `t${number}-`);
      if (table.dataset.sortable !== undefined && table.tHead) {
        makeSortable(table, state);
        const last = table.tHead.rows[table.tHead.rows.length - 1];
        const heading = state.column === null ? undefined : last.cells[state.column];
        if (heading && heading.dataset.type !== undefined) sort(table, state.column, state.direction);
      }
      if (table.dataset.filter) makeFilterable(table, state);
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
