// A pane by keyboard: from run to run, from series to series, open, pin, zoom.
(function (beambench) {
  "use strict";

  const ZOOM_STEP = 0.5;

  function ordered(pane, line) {
    const [from, to] = pane.xRange();
    return line.points.filter((point) => point.x >= from && point.x <= to);
  }

  function along(pane, step) {
    const lines = pane.visibleLines();
    if (!lines.length) return null;
    const line =
      lines.find(
        (one) => pane.focused && one.series === pane.focused.series && one.metric === pane.focused.metric,
      ) || lines[0];
    const points = ordered(pane, line);
    if (!points.length) return null;
    const at = pane.focused ? points.findIndex((point) => point.index === pane.focused.index) : -1;
    if (step === "first") return points[0];
    if (step === "last" || at < 0) return points[points.length - 1];
    return points[Math.min(Math.max(at + step, 0), points.length - 1)];
  }

  function across(pane, step) {
    const lines = pane.visibleLines().filter((line) => ordered(pane, line).length);
    if (!lines.length || !pane.focused) return along(pane, "last");
    const at = lines.findIndex(
      (line) => line.series === pane.focused.series && line.metric === pane.focused.metric,
    );
    const points = ordered(pane, lines[(at + step + lines.length) % lines.length]);
    return points.reduce((best, point) =>
      Math.abs(point.x - pane.focused.x) < Math.abs(best.x - pane.focused.x) ? point : best,
    );
  }

  function zoomed(pane, factor) {
    const [from, to] = pane.xRange();
    const centre = pane.focused && factor < 1 ? pane.focused.x : (from + to) / 2;
    const half = ((to - from) / 2) * factor;
    const [first, last] = pane.axis.range;
    const range = [Math.max(first, centre - half), Math.min(last, centre + half)];
    pane.page.zoom(range[0] === first && range[1] === last ? null : range);
  }

  const MOVES = {
    ArrowLeft: (pane) => along(pane, -1),
    ArrowRight: (pane) => along(pane, 1),
    ArrowUp: (pane) => across(pane, -1),
    ArrowDown: (pane) => across(pane, 1),
    Home: (pane) => along(pane, "first"),
    End: (pane) => along(pane, "last"),
  };

  const ACTIONS = {
    Enter: (pane) => pane.focused && pane.page.open(pane.focused),
    p: (pane) => pane.focused && pane.page.pin(pane.focused),
    "+": (pane) => pane.isTime && zoomed(pane, ZOOM_STEP),
    "-": (pane) => pane.isTime && zoomed(pane, 1 / ZOOM_STEP),
    0: (pane) => pane.page.zoom(null),
    Escape: (pane) => pane.page.leave(true),
  };

  beambench.keyboard = function (pane, event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const move = MOVES[event.key];
    const action = ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!move && !action) return;
    event.preventDefault();
    if (action) {
      action(pane);
      return;
    }
    const point = move(pane);
    if (point) pane.show(point);
  };
})(window.beambench);
