// The numbers of a series come as whole ones with a power of ten for each metric: they are half as long.
(function (beambench) {
  "use strict";

  const unpacked = (number, exponent) => (number === null ? null : Number(`${number}e${exponent}`));

  beambench.unpack = function (data) {
    for (const series of data.series) {
      for (const [metric, exponent] of Object.entries(series.exponents || {})) {
        for (const columns of [series.values, series.low, series.high]) {
          if (columns && columns[metric]) {
            columns[metric] = columns[metric].map((number) => unpacked(number, exponent));
          }
        }
      }
    }
    return data;
  };
})(window.beambench);
