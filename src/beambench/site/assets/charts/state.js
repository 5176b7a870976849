// What a benchmark page shows, in its address: a view can be sent to a colleague.
(function (beambench) {
  "use strict";

  const NAMES = ["filter-charts", "off", "from", "to", "pin", "chart", "zero", "plain"];

  function number(text) {
    const value = Number(text);
    return text !== null && text !== "" && Number.isFinite(value) ? value : null;
  }

  // Series that are switched off are named, not those that are on: a new one is never hidden.
  function read() {
    const saved = new URLSearchParams(location.hash.slice(1));
    const from = number(saved.get("from"));
    const to = number(saved.get("to"));
    return {
      filter: saved.get("filter-charts") || "",
      off: new Set(saved.getAll("off")),
      range: from !== null && to !== null && from < to ? [from, to] : null,
      pins: saved.getAll("pin"),
      chart: saved.get("chart"),
      zero: saved.get("zero") === "1",
      plain: saved.get("plain") === "1",
    };
  }

  function text(state) {
    const now = new URLSearchParams(location.hash.slice(1));
    for (const name of NAMES) now.delete(name);
    if (state.filter) now.set("filter-charts", state.filter);
    for (const id of state.off) now.append("off", id);
    if (state.range) {
      now.set("from", String(Math.round(state.range[0])));
      now.set("to", String(Math.round(state.range[1])));
    }
    for (const run of state.pins) now.append("pin", run);
    if (state.chart) now.set("chart", state.chart);
    if (state.zero) now.set("zero", "1");
    if (state.plain) now.set("plain", "1");
    return now.toString();
  }

  function write(state) {
    const now = text(state);
    history.replaceState(null, "", now ? `#${now}` : location.pathname + location.search);
  }

  beambench.state = { read, write };
})(window.beambench);
