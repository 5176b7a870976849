// Numbers, dates and colours as text that people read. First of the scripts of a benchmark page.
(function () {
  "use strict";

  const SCALES = {
    s: [
      [60, "min"],
      [1, "s"],
      [1e-3, "ms"],
      [1e-6, "µs"],
    ],
    B: [
      [1e9, "GB"],
      [1e6, "MB"],
      [1e3, "kB"],
      [1, "B"],
    ],
    "B/s": [
      [1e9, "GB/s"],
      [1e6, "MB/s"],
      [1e3, "kB/s"],
      [1, "B/s"],
    ],
  };
  const MINUTES_FROM_S = 600;
  const LARGEST_PLAIN = 1e15;
  const PALETTE_SIZE = 8;
  const SHAPES = 4;

  // The scale of a unit for numbers up to `magnitude`: [size, name].
  function scale(unit, magnitude) {
    const scales = SCALES[unit];
    if (!scales) return [1, unit === "1" ? "" : unit];
    const fits = scales.filter(([size, name]) => !(name === "min" && magnitude < MINUTES_FROM_S));
    return fits.find(([size]) => magnitude >= size) || (magnitude === 0 ? [1, unit] : fits[fits.length - 1]);
  }

  // Four significant digits; a number too long to read in powers of ten.
  function digits(value) {
    const size = Math.abs(value);
    if (size >= LARGEST_PLAIN || (size > 0 && size < 1e-5)) return value.toExponential(2);
    if (size >= 1000) return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
    return Number.isInteger(value) ? String(value) : value.toPrecision(4);
  }

  function show(value, unit) {
    if (value === null || value === undefined) return "unknown";
    const [size, name] = scale(unit, Math.abs(value));
    return `${digits(value / size)} ${name}`.trim();
  }

  function showInterval(low, high, unit) {
    const [size, name] = scale(unit, Math.max(Math.abs(low), Math.abs(high)));
    return `${digits(low / size)} to ${digits(high / size)} ${name}`.trim();
  }

  // Of a ratio of a new value to an old one, the change in percent, with its sign.
  function change(ratio) {
    const percent = (ratio - 1) * 100;
    if (!Number.isFinite(percent)) return "unknown";
    const size = Math.abs(percent);
    const text = size >= 1e4 ? size.toExponential(1) : size.toFixed(size < 10 ? 1 : 0);
    return `${percent < 0 ? "−" : "+"}${text} %`;
  }

  const share = (fraction) => `${Number((fraction * 100).toPrecision(2))} %`;
  const iso = (seconds) => new Date(seconds * 1000).toISOString();
  const day = (seconds) => iso(seconds).slice(0, 10);
  const time = (seconds) => `${iso(seconds).slice(0, 16).replace("T", " ")} UTC`;

  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  const DAY_S = 86400;

  // Labels of the time axis, in UTC; the year stands at the first and wherever it changes.
  function timeTicks(ticks, step) {
    let year = null;
    return ticks.map((seconds) => {
      const date = new Date(seconds * 1000);
      const fresh = date.getUTCFullYear() !== year;
      year = date.getUTCFullYear();
      const month = MONTHS[date.getUTCMonth()];
      if (step >= 360 * DAY_S) return String(year);
      if (step >= 27 * DAY_S) return fresh ? `${month}\n${year}` : month;
      const dayText = `${date.getUTCDate()} ${month}`;
      if (step >= DAY_S) return fresh ? `${dayText}\n${year}` : dayText;
      return `${date.toISOString().slice(11, 16)}\n${dayText}`;
    });
  }

  // "2.9.0" before "2.10.0".
  const compareVersions = (first, second) => first.localeCompare(second, "en", { numeric: true });

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  // Series of one colour differ by shape.
  const seriesShape = (number) => (number + Math.floor(number / PALETTE_SIZE)) % SHAPES;
  const seriesColour = (number) => colour(`series-${(number % PALETTE_SIZE) + 1}`);

  function median(numbers) {
    const sorted = [...numbers].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  // Signs that are not seen, or turn the direction of what follows, are written as escapes.
  function printable(text) {
    return text.replace(
      /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/gu,
      (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`,
    );
  }

  // An element with its properties and children; text is always text.
  function element(name, properties = {}, ...children) {
    const { data = {}, aria = {}, textContent = null, ...plain } = properties;
    const made = Object.assign(document.createElement(name), plain);
    if (textContent !== null) made.textContent = printable(textContent);
    Object.assign(made.dataset, data);
    for (const [key, value] of Object.entries(aria))
      made.setAttribute(key === "role" ? key : `aria-${key}`, printable(value));
    const shown = children.filter((child) => child !== null && child !== undefined);
    made.append(...shown.map((child) => (typeof child === "string" ? printable(child) : child)));
    return made;
  }

  window.beambench = {
    PALETTE_SIZE,
    scale,
    digits,
    show,
    showInterval,
    change,
    share,
    iso,
    day,
    time,
    timeTicks,
    compareVersions,
    printable,
    colour,
    seriesColour,
    seriesShape,
    median,
    element,
  };
})();
