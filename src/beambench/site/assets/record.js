// Turns the record of a run, which the page holds as text, into tables. Text of the record becomes
// text of the page (textContent) and nothing else. Without scripts the page shows the record as it is.
"use strict";
(() => {
  const MOST_CHARACTERS = 400;
  const MOST_ITEMS = 60;
  const MOST_SHOWN_AT_ONCE = 12;
  const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
  const source = document.getElementById("record-json");
  const target = document.getElementById("record-tables");
  const raw = source.textContent;

  // What cannot be seen, or turns the direction of writing, is written as its code.
  function visible(text) {
    return text.replace(HIDDEN, (sign) => "\\u" + sign.charCodeAt(0).toString(16).padStart(4, "0"));
  }

  function element(tag, content, name) {
    const made = document.createElement(tag);
    if (content !== undefined) made.textContent = visible(String(content));
    if (name) made.className = name;
    return made;
  }

  function cell(tag, content, name) {
    if (content instanceof Node) {
      const made = element(tag, undefined, name);
      made.append(content);
      return made;
    }
    return element(tag, content, name);
  }

  // As presentation/values.py writes values: four significant digits, in a scale that people read.
  function showValue(value, unit) {
    let scales = [[1, unit === "1" ? "" : unit]];
    if (unit === "s") scales = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]];
    if (unit === "B" || unit === "B/s") {
      const tail = unit.slice(1);
      scales = [[1e9, "GB" + tail], [1e6, "MB" + tail], [1e3, "kB" + tail], [1, unit]];
    }
    const [size, name] = scales.find(([least]) => Math.abs(value) >= least) || scales[scales.length - 1];
    const scaled = value / size;
    const large = Math.abs(scaled) >= 1000;
    const digits = large && Math.abs(scaled) < 1e15
      ? Math.round(scaled).toLocaleString("en-US")
      : String(Number(scaled.toPrecision(4)));
    return (digits + " " + name).trim();
  }

  function share(value) {
    return typeof value === "number" ? showValue(100 * value, "%") : "unknown";
  }

  function isObject(value) {
    return value !== null && typeof value === "object" && !Array.isArray(value);
  }

  function isPlain(value) {
    return value === null || typeof value !== "object";
  }

  function isMetrics(value) {
    const entries = Object.values(value);
    return entries.length > 0 && entries.every(
      (entry) => isObject(entry) && typeof entry.value === "number" && typeof entry.unit === "string");
  }

  function table(caption, headers, rows) {
    const scroll = element("div", undefined, "table-scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", visible(caption));
    const made = element("table", undefined, "data");
    const head = element("tr");
    for (const [name, kind] of headers) {
      const th = element("th", name, kind);
      th.scope = "col";
      head.append(th);
    }
    const thead = element("thead");
    thead.append(head);
    const body = element("tbody");
    for (const row of rows) {
      const line = element("tr");
      row.forEach((content, at) => {
        const first = cell(at === 0 ? "th" : "td", content, headers[at] && headers[at][1]);
        if (at === 0) first.scope = "row";
        line.append(first);
      });
      body.append(line);
    }
    made.append(thead, body);
    scroll.append(made);
    return scroll;
  }

  // Built when it is opened: a record may hold thousands of values.
  function folded(summary, build) {
    const made = element("details");
    made.append(element("summary", summary));
    made.addEventListener("toggle", () => {
      if (made.open && made.children.length === 1) made.append(build());
    });
    return made;
  }

  function entries(value, caption) {
    const made = element("table", undefined, "entries");
    made.setAttribute("aria-label", visible(caption));
    const body = element("tbody");
    for (const [key, content] of Object.entries(value)) {
      const line = element("tr");
      const name = element("th", key);
      name.scope = "row";
      line.append(name, cell("td", shown(content, key)));
      body.append(line);
    }
    made.append(body);
    return made;
  }

  function shown(value, name) {
    if (value === null || value === undefined) return element("span", "unknown", "unknown");
    if (typeof value === "boolean") return element("span", value ? "yes" : "no");
    if (typeof value === "number") return element("span", value, "number");
    if (typeof value === "string") return text(value);
    if (Array.isArray(value)) return list(value, name);
    const count = Object.keys(value).length;
    if (count === 0) return element("span", "none", "unknown");
    if (isMetrics(value)) return folded(count + " metrics", () => metricTable(value, name));
    const small = count <= MOST_SHOWN_AT_ONCE && Object.values(value).every(isPlain);
    if (small) return entries(value, name);
    return folded(count === 1 ? "1 entry" : count + " entries", () => entries(value, name));
  }

  function text(value) {
    if (value.length <= MOST_CHARACTERS) return element("span", value === "" ? "empty" : value, "text");
    return folded(value.slice(0, 80) + "… (" + value.length.toLocaleString("en-US") + " characters)",
      () => element("pre", value));
  }

  function list(value, name) {
    if (value.length === 0) return element("span", "none", "unknown");
    const plain = value.every(isPlain);
    if (plain && value.length <= MOST_ITEMS) {
      const joined = value.map((item) => (item === null ? "unknown" : String(item))).join(", ");
      return text(joined);
    }
    const count = value.length.toLocaleString("en-US");
    if (plain) return folded(count + " values", () => element("p", value.map(String).join(", "), "text"));
    const numbered = Object.fromEntries(value.map((item, at) => [String(at + 1), item]));
    return folded(count === "1" ? "1 entry" : count + " entries", () => entries(numbered, name));
  }

  function metricTable(metrics, caption) {
    const rows = Object.entries(metrics).map(([name, metric]) => {
      const link = element("a", name);
      link.href = "../glossary.html#" + encodeURIComponent(name);
      const has = typeof metric.ci_low === "number" && typeof metric.ci_high === "number";
      const interval = has
        ? showValue(metric.ci_low, metric.unit) + " – " + showValue(metric.ci_high, metric.unit) : "";
      const better = { higher: "higher", lower: "lower" }[metric.direction] || "";
      return [link, showValue(metric.value, metric.unit), interval, metric.n, better];
    });
    return table(caption, [["metric"], ["value", "num"], ["95 % interval", "num"],
      ["n", "num"], ["better"]], rows);
  }

  function seconds(from, to) {
    const length = (Date.parse(to) - Date.parse(from)) / 1000;
    return Number.isFinite(length) ? showValue(length, "s") : "unknown";
  }

  function metricOf(repeat, name) {
    const metric = isObject(repeat.metrics) ? repeat.metrics[name] : undefined;
    return isObject(metric) && typeof metric.value === "number" ? showValue(metric.value, metric.unit) : "";
  }

  function disturbance(repeat) {
    const noise = isObject(repeat.noise) ? repeat.noise : {};
    if (noise.disturbed === true) return "yes: " + (noise.reasons || []).join("; ");
    return noise.disturbed === false ? "no" : "not judged";
  }

  function repeats(all, caption) {
    const box = element("div");
    box.append(table(caption,
      [["repeat"], ["of"], ["status"], ["started (UTC)"], ["took", "num"], ["elements/s", "num"],
        ["batch latency", "num"], ["peak memory", "num"], ["disturbed"], ["counts"]],
      all.map((repeat) => [
        repeat.index + 1, repeat.arm, String(repeat.status).replace("_", " "),
        String(repeat.started_at).slice(0, 19).replace("T", " "),
        seconds(repeat.started_at, repeat.finished_at), metricOf(repeat, "throughput_elements"),
        metricOf(repeat, "inference_batch_latency_mean"), metricOf(repeat, "peak_memory"),
        disturbance(repeat), repeat.excluded ? "no: " + repeat.excluded : repeat.status === "succeeded" ? "yes" : "no",
      ])));
    for (const repeat of all) {
      box.append(folded("All of repeat " + (repeat.index + 1) + " (" + repeat.arm + ")",
        () => entries(repeat, "repeat " + (repeat.index + 1))));
    }
    return box;
  }

  const NOISE = [["busy_share", "busy", share], ["other_cpu_share", "other work", share],
    ["steal_share", "stolen", share], ["iowait_share", "waiting for disk", share],
    ["cpu_pressure", "CPU pressure", share], ["memory_pressure", "memory pressure", share],
    ["load_1min_start", "load before", String], ["cpu_mhz_end", "MHz after", String]];

  function noise(record) {
    const box = element("div");
    const judged = record.repeats.filter((repeat) => isObject(repeat.noise) && "busy_share" in repeat.noise);
    if (judged.length > 0) {
      box.append(table("Noise of repeats",
        [["repeat"], ["disturbed"], ...NOISE.map(([, title]) => [title, "num"])],
        judged.map((repeat) => [repeat.index + 1, disturbance(repeat),
          ...NOISE.map(([key, , show]) => (repeat.noise[key] === null || repeat.noise[key] === undefined
            ? "unknown" : show(repeat.noise[key])))])));
    }
    box.append(entries(record.noise, "Noise of the run"));
    return box;
  }

  function section(id, title, content) {
    const made = element("section");
    const heading = element("h2", title);
    heading.id = "record-" + id;
    made.append(heading, content);
    target.append(made);
  }

  function build(record) {
    const sections = [
      ["metrics", "Results", () => metricTable(record.metrics, "Results")],
      ["verification", "Verification", () => entries(record.verification, "Verification")],
      ["noise", "Noise", () => noise(record)],
      ["repeats", "Repeats", () => repeats(record.repeats, "Repeats")],
      ["references", "Reference loops", () => repeats(record.references, "Reference loops")],
      ["environment", "Environment", () => entries(record.environment, "Environment")],
      ["config", "Configuration", () => entries(record.config, "Configuration")],
    ];
    const done = new Set();
    for (const [key, title, make] of sections) {
      const value = record[key];
      if (value && typeof value === "object" && Object.keys(value).length > 0) section(key, title, make());
      done.add(key);
    }
    const rest = Object.fromEntries(Object.entries(record).filter(([key]) => !done.has(key)));
    section("rest", "Everything else", entries(rest, "Everything else"));
  }

  // JSON has no NaN, yet others may have written a record that holds one: it is shown as text.
  function parsed() {
    try {
      return JSON.parse(raw);
    } catch {
      const quoted = raw.replace(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g,
        (part) => (part.startsWith('"') ? part : JSON.stringify(part)));
      return JSON.parse(quoted);
    }
  }

  function offerDownload() {
    const button = document.getElementById("record-download");
    button.addEventListener("click", () => {
      const link = element("a");
      link.href = URL.createObjectURL(new Blob([raw], { type: "application/json" }));
      link.download = button.dataset.name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    button.hidden = false;
  }

  offerDownload();
  try {
    build(parsed());
    document.getElementById("record").open = false;
  } catch (error) {
    target.replaceChildren(element("p", "The record cannot be shown as tables; it is below as it is.", "hint"));
  }
})();
