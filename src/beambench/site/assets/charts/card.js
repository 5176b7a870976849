// What is known of one run: beside the pointer, read aloud for the keyboard, and in the list of pinned runs.
(function (beambench) {
  "use strict";

  const { element, model } = beambench;
  const GAP_PX = 14;

  function command(data, series, index) {
    const one = series.command ? series.command[index] : null;
    return typeof one === "number" ? data.commands[one] : one;
  }

  // Most pages have the run's own name. The link stays within the site whatever the name is.
  function runAddress(series, index) {
    const slug = (series.pages || {})[index] ?? series.runs[index];
    return `../runs/${encodeURIComponent(slug)}.html`;
  }

  function valueText(point, data) {
    const { unit } = data.metrics[point.metric];
    const interval =
      point.low !== null && point.high !== null
        ? ` (95 % ${beambench.showInterval(point.low, point.high, unit)})`
        : "";
    return beambench.show(point.y, unit) + interval;
  }

  // How far a value is from the level before it, in words: what is within the noise is called that.
  function levelText(point) {
    if (!point.level || point.level.points.length < 2 || !point.level.centre) return null;
    const text = `${beambench.change(point.y / point.level.centre)} against the median of its level`;
    return model.isWithinNoise(point) ? `${text}, within noise` : text;
  }

  const shortCommit = (commit) => (commit ? commit.slice(0, 12) : "unknown");

  function facts(point, data) {
    const { series, index } = point;
    return [
      ["Date", beambench.time(series.time[index])],
      ["Commit", shortCommit(series.commit[index])],
      ["SDK", series.sdk[index] || "unknown"],
      ["Run", series.runs[index]],
    ];
  }

  function content(point, data, isInteractive) {
    const { series, index } = point;
    const within = levelText(point);
    const list = element("dl", {});
    for (const [name, text] of facts(point, data))
      list.append(element("dt", { textContent: name }), element("dd", { textContent: text }));
    const lines = element("ul", { className: "card-lines" });
    for (const line of model.explain(point, data))
      lines.append(element("li", { className: `line-${line.kind}`, textContent: line.text }));
    if (series.disturbed[index])
      lines.append(
        element("li", {
          className: "line-mark",
          textContent: "Disturbed: other work on the machine, see the run",
        }),
      );
    const text = command(data, series, index);
    const hint = isInteractive
      ? element("a", { href: runAddress(series, index), textContent: "Open this run" })
      : element("span", { textContent: "Click opens the run, Shift and click pins it" });
    return [
      element("p", { className: "card-series", textContent: series.label }),
      element(
        "p",
        { className: "card-value" },
        `${data.metrics[point.metric].title}: `,
        element("strong", { textContent: valueText(point, data) }),
      ),
      within && element("p", { className: "within-noise", textContent: within }),
      list,
      lines.childElementCount ? lines : null,
      text && element("code", { className: "card-command", textContent: text }),
      element("p", { className: "card-hint" }, hint),
    ].filter(Boolean);
  }

  class Card {
    constructor() {
      this.root = element("div", { className: "card", hidden: true });
      this.spoken = element("p", { className: "visually-hidden", aria: { live: "polite" } });
      document.body.append(this.root, this.spoken);
    }

    show(pane, { point, left, top }, data, isInteractive) {
      this.root.replaceChildren(...content(point, data, isInteractive));
      this.isInteractive = isInteractive;
      this.root.classList.toggle("card-interactive", isInteractive);
      this.root.dataset.run = point.series.runs[point.index];
      this.root.hidden = false;
      const box = pane.plot.over.getBoundingClientRect();
      const width = this.root.offsetWidth;
      const height = this.root.offsetHeight;
      const x = box.left + left;
      const y = box.top + top;
      const isRoomRight = x + GAP_PX + width < document.documentElement.clientWidth - 4;
      const shownLeft = isRoomRight ? x + GAP_PX : Math.max(4, x - GAP_PX - width);
      const isOver = !isRoomRight && x - GAP_PX - width < 4;
      const shownTop = isOver
        ? y + GAP_PX
        : Math.min(Math.max(4, y - height / 2), Math.max(4, innerHeight - height - 4));
      this.root.style.left = `${shownLeft + scrollX}px`;
      this.root.style.top = `${shownTop + scrollY}px`;
      if (isInteractive) this.spoken.textContent = speech(point, data);
    }

    hide() {
      this.isInteractive = false;
      this.root.hidden = true;
      delete this.root.dataset.run;
    }
  }

  function speech(point, data) {
    const parts = [
      `${data.metrics[point.metric].title} ${valueText(point, data)}`,
      beambench.time(point.series.time[point.index]),
      point.series.label,
      levelText(point),
      ...model.explain(point, data).map((line) => line.text),
    ];
    return parts.filter(Boolean).join("; ");
  }

  Object.assign(beambench, { Card, command, runAddress, valueText, shortCommit });
})(window.beambench);
