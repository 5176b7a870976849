// Fewer points where there are more than pixels, without what matters getting lost.
(function (beambench) {
  "use strict";

  const PIXELS_A_BUCKET = 3;

  // Of each few pixels the first, last, lowest and highest point, and all that `isKept` names.
  // `points` are in the order of x; `place(x)` is a pixel.
  function reduce(points, place, width, isKept) {
    if (points.length <= width) return points;
    const reduced = [];
    let start = 0;
    while (start < points.length) {
      const bucket = Math.floor(place(points[start].x) / PIXELS_A_BUCKET);
      let end = start;
      let lowest = start;
      let highest = start;
      while (end < points.length && Math.floor(place(points[end].x) / PIXELS_A_BUCKET) === bucket) {
        if (points[end].y < points[lowest].y) lowest = end;
        if (points[end].y > points[highest].y) highest = end;
        end += 1;
      }
      for (let at = start; at < end; at += 1) {
        const isEdge = at === start || at === end - 1 || at === lowest || at === highest;
        if (isEdge || isKept(points[at])) reduced.push(points[at]);
      }
      start = end;
    }
    return reduced;
  }

  beambench.reduce = reduce;
})(window.beambench);
