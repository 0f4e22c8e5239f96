"use strict";
(async () => {
  const plots = [...document.querySelectorAll("[data-figure]")];
  const figures = plots.map((plot) => JSON.parse(document.getElementById(plot.dataset.figure).textContent));
  const shades = JSON.parse(document.getElementById("shades").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const narrow = matchMedia("(max-width: 40rem)");
  const PAPER_WIDTH_PX = 690;

  if (!("DecompressionStream" in window)) {
    document.getElementById("no-charts").hidden = false;
    return;
  }

  async function loadPlotly() {
    const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (c) => c.charCodeAt(0));
    const code = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(code).text();
    document.head.append(script);
  }

  // Only colour attributes are touched: a unit may well be named like a colour.
  function recoloured(value, key) {
    if (Array.isArray(value)) return value.map((item) => recoloured(item, key));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, recoloured(item, name)]));
    }
    return typeof value === "string" && key.endsWith("color") ? shades[value] ?? value : value;
  }

  function draw(isDark, width) {
    // A finger that drags means to scroll the page, not to zoom the chart.
    const dragmode = matchMedia("(pointer: fine)").matches ? "zoom" : false;
    plots.forEach((plot, index) => {
      const figure = isDark ? recoloured(figures[index], "") : figures[index];
      const entries = figure.data.filter((trace) => trace.showlegend !== false).length;
      const legend = narrow.matches && entries > 2 ? 18 * (entries - 2) : 0;
      const layout = { ...figure.layout, dragmode, width, height: Number(plot.dataset.height) + legend };
      const config = { responsive: true, displayModeBar: false };
      Plotly.react(plot, structuredClone(figure.data), structuredClone(layout), config);
    });
  }

  await loadPlotly();
  const redraw = () => draw(dark.matches);
  redraw();
  dark.addEventListener("change", redraw);
  narrow.addEventListener("change", redraw);
  addEventListener("beforeprint", () => draw(false, PAPER_WIDTH_PX));
  addEventListener("afterprint", redraw);
  document.documentElement.dataset.charts = "drawn";
})();
