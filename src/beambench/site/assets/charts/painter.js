// What is drawn on the canvas of a pane: bands, lines, points, change points, alarms, marks, pinned runs.
(function (beambench) {
  "use strict";

  const { model } = beambench;
  const WHISKER_SPACING = 9;
  const LABEL_SPACING = 52;
  const CROWDED_PX = 10;
  const TAU = 2 * Math.PI;

  // Positions in pixels of the canvas, and the width of one pixel of the page.
  function frame(plot) {
    return {
      ctx: plot.ctx,
      ratio: devicePixelRatio || 1,
      x: (value) => plot.valToPos(value, "x", true),
      y: (value) => plot.valToPos(value, "y", true),
      box: plot.bbox,
    };
  }

  function clipped(plot, draw) {
    const { ctx } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    ctx.clip();
    draw(frame(plot));
    ctx.restore();
  }

  function noiseBand(at, line) {
    at.ctx.fillStyle = beambench.colour("noise");
    for (const level of line.levels) {
      const bounds = model.noiseBounds(level);
      if (!bounds) continue;
      const left = at.x(level.from);
      const top = at.y(bounds[1]);
      at.ctx.fillRect(left, top, Math.max(at.x(level.to) - left, at.ratio), at.y(bounds[0]) - top);
    }
  }

  // A path through the points that is cut where the piece changes.
  function trace(at, points, y) {
    let piece = null;
    for (const point of points) {
      if (point.piece === piece) at.ctx.lineTo(at.x(point.x), at.y(y(point)));
      else at.ctx.moveTo(at.x(point.x), at.y(y(point)));
      piece = point.piece;
    }
  }

  function lines(at, line, points) {
    const { ctx } = at;
    ctx.strokeStyle = line.colour;
    ctx.lineWidth = 1.4 * at.ratio;
    ctx.lineJoin = "round";
    ctx.globalAlpha = 0.85;
    ctx.beginPath();
    trace(at, points, (point) => point.y);
    ctx.stroke();
    ctx.globalAlpha = 1;
  }

  // Whiskers where there is room for them, else a band between the ends of the intervals.
  function intervals(at, line, points) {
    const { ctx } = at;
    const known = points.filter((point) => point.low !== null && point.high !== null);
    if (!known.length) return;
    const spacing = at.box.width / at.ratio / known.length;
    ctx.strokeStyle = line.colour;
    ctx.fillStyle = line.colour;
    ctx.lineWidth = at.ratio;
    if (spacing >= WHISKER_SPACING) {
      ctx.globalAlpha = 0.7;
      ctx.beginPath();
      for (const point of known) whisker(at, point);
      ctx.stroke();
    } else {
      ctx.globalAlpha = 0.14;
      for (const piece of pieces(known)) {
        ctx.beginPath();
        trace(at, piece, (point) => point.high);
        for (const point of [...piece].reverse()) ctx.lineTo(at.x(point.x), at.y(point.low));
        ctx.fill();
      }
    }
    ctx.globalAlpha = 1;
  }

  function whisker(at, point) {
    const x = at.x(point.x);
    const half = 2.5 * at.ratio;
    for (const end of [point.low, point.high]) {
      at.ctx.moveTo(x - half, at.y(end));
      at.ctx.lineTo(x + half, at.y(end));
    }
    at.ctx.moveTo(x, at.y(point.low));
    at.ctx.lineTo(x, at.y(point.high));
  }

  function pieces(points) {
    const made = [];
    for (const point of points) {
      const last = made[made.length - 1];
      if (last && last[0].piece === point.piece) last.push(point);
      else made.push([point]);
    }
    return made;
  }

  function shape(ctx, number, x, y, size) {
    if (number === 0) ctx.arc(x, y, size, 0, TAU);
    else if (number === 1) ctx.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8);
    else {
      const corners =
        number === 2
          ? [
              [0, -1.2],
              [1.1, 0.9],
              [-1.1, 0.9],
            ]
          : [
              [0, -1.3],
              [1.3, 0],
              [0, 1.3],
              [-1.3, 0],
            ];
      corners.forEach(([dx, dy], at) =>
        at ? ctx.lineTo(x + dx * size, y + dy * size) : ctx.moveTo(x + dx * size, y + dy * size),
      );
      ctx.closePath();
    }
  }

  // What is within the noise of its level is small and grey; a disturbed run is hollow.
  function dots(at, line, points) {
    const { ctx } = at;
    const isCrowded = at.box.width / at.ratio / Math.max(points.length, 1) < CROWDED_PX;
    const grey = beambench.colour("line-strong");
    const background = beambench.colour("surface");
    for (const point of points) {
      const isNoise = model.isWithinNoise(point);
      if (isNoise && isCrowded && !line.isStrip) continue;
      ctx.beginPath();
      shape(
        ctx,
        beambench.seriesShape(line.number),
        at.x(point.x),
        at.y(point.y),
        (isNoise ? 2 : 2.8) * at.ratio,
      );
      ctx.fillStyle = line.series.disturbed[point.index] ? background : isNoise ? grey : line.colour;
      ctx.fill();
      if (line.series.disturbed[point.index]) {
        ctx.strokeStyle = line.colour;
        ctx.lineWidth = at.ratio;
        ctx.stroke();
      }
    }
  }

  // On the axis of versions a stroke is the median of the runs of a version within a group.
  function medians(at, line) {
    const buckets = new Map();
    for (const point of line.points) {
      const key = `${point.series.group[point.index]} ${Math.round(point.x)}`;
      if (!buckets.has(key)) buckets.set(key, []);
      buckets.get(key).push(point);
    }
    at.ctx.strokeStyle = line.colour;
    at.ctx.lineWidth = 2.5 * at.ratio;
    at.ctx.beginPath();
    for (const points of buckets.values()) {
      const y = at.y(beambench.median(points.map((point) => point.y)));
      const xs = points.map((point) => at.x(point.x));
      at.ctx.moveTo(Math.min(...xs) - 4 * at.ratio, y);
      at.ctx.lineTo(Math.max(...xs) + 4 * at.ratio, y);
    }
    at.ctx.stroke();
  }

  function vertical(at, x, colour, dash, width) {
    at.ctx.strokeStyle = colour;
    at.ctx.lineWidth = width * at.ratio;
    at.ctx.setLineDash(dash.map((length) => length * at.ratio));
    at.ctx.beginPath();
    at.ctx.moveTo(x, at.box.top);
    at.ctx.lineTo(x, at.box.top + at.box.height);
    at.ctx.stroke();
    at.ctx.setLineDash([]);
  }

  function ring(at, point, colour, size) {
    at.ctx.strokeStyle = colour;
    at.ctx.lineWidth = 2 * at.ratio;
    at.ctx.beginPath();
    at.ctx.arc(at.x(point.x), at.y(point.y), size * at.ratio, 0, TAU);
    at.ctx.stroke();
  }

  const KIND_COLOURS = { worse: "bad", better: "good", neutral: "muted" };

  function changePoints(at, line, labels) {
    for (const change of model.changes(line.series, line.metric)) {
      const point = line.byIndex.get(change.index);
      if (!point) continue;
      const x = at.x(point.x);
      const colour = beambench.colour(KIND_COLOURS[model.kindOf(change)]);
      vertical(at, x, colour, [], 1.2);
      ring(at, point, colour, 5);
      const isCovered = labels.some((other) => Math.abs(other.x - x) < LABEL_SPACING * at.ratio);
      if (!isCovered) labels.push({ x, text: beambench.change(change.ratio), colour });
    }
  }

  function label(at, { x, text, colour }) {
    const { ctx } = at;
    ctx.font = `600 ${11 * at.ratio}px system-ui, sans-serif`;
    const width = ctx.measureText(text).width + 8 * at.ratio;
    const right = at.box.left + at.box.width;
    const left = x + width > right ? x - width : x;
    ctx.fillStyle = beambench.colour("surface");
    ctx.fillRect(left, at.box.top, width, 15 * at.ratio);
    ctx.fillStyle = colour;
    ctx.textAlign = "left";
    ctx.textBaseline = "middle";
    ctx.fillText(text, left + 4 * at.ratio, at.box.top + 8 * at.ratio);
  }

  function alarms(at, line) {
    for (const alarm of model.alarms(line.series, line.metric)) {
      const point = line.byIndex.get(alarm.index);
      if (!point) continue;
      const colour = beambench.colour("bad");
      ring(at, point, colour, 8);
      at.ctx.font = `700 ${12 * at.ratio}px system-ui, sans-serif`;
      at.ctx.fillStyle = colour;
      at.ctx.textAlign = "center";
      at.ctx.textBaseline = "bottom";
      at.ctx.fillText("!", at.x(point.x), at.y(point.y) - 9 * at.ratio);
    }
  }

  // A notch at the foot of the pane, and a faint line: the environment of the runs changed.
  function marks(at, series, place) {
    const colour = beambench.colour("line-strong");
    for (const mark of series.marks || []) {
      const x = at.x(place(series, mark.index));
      vertical(at, x, colour, [2, 4], 1);
      const foot = at.box.top + at.box.height;
      at.ctx.fillStyle = beambench.colour("muted");
      at.ctx.beginPath();
      at.ctx.moveTo(x, foot - 8 * at.ratio);
      at.ctx.lineTo(x + 5 * at.ratio, foot);
      at.ctx.lineTo(x - 5 * at.ratio, foot);
      at.ctx.fill();
    }
  }

  beambench.painter = {
    clipped,
    noiseBand,
    lines,
    intervals,
    dots,
    medians,
    changePoints,
    label,
    alarms,
    marks,
    ring,
    vertical,
    shape,
  };
})(window.beambench);
