// Draws the page's plots. Colours written var(--name) are taken from the page's style, so that plots follow
// light, dark and print; `narrow` holds what differs on a narrow screen. Nothing is fetched.
"use strict";
(() => {
  const NARROW = matchMedia("(max-width: 640px)");
  const DARK = matchMedia("(prefers-color-scheme: dark)");
  const PAPER_WIDTH = 640; // CSS pixels that fit a card between the margins of A4 and of Letter

  const coloured = (value, style) => {
    if (typeof value === "string") {
      const name = /^var\((--[a-z-]+)\)$/.exec(value);
      return name ? style.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((each) => coloured(each, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, coloured(each, style)]));
    }
    return value;
  };

  const draw = (width) => {
    const style = getComputedStyle(document.documentElement);
    const font = getComputedStyle(document.body).fontFamily;
    const drawn = [...document.querySelectorAll("script[data-plot]")].map(async (source) => {
      const target = document.getElementById(source.dataset.plot);
      const figure = coloured(JSON.parse(source.textContent), style);
      const layout = { ...figure.layout, autosize: !width };
      if (width) layout.width = width;
      if (NARROW.matches && !width) {
        for (const [path, value] of Object.entries(figure.narrow || {})) {
          const keys = path.split(".");
          const last = keys.pop();
          const place = keys.reduce((each, key) => (each[key] = { ...each[key] }), layout);
          place[last] = value;
        }
      }
      layout.font = { ...layout.font, family: font };
      const settings = { displayModeBar: false, responsive: !width, doubleClick: false };
      try {
        await Plotly.newPlot(target, figure.data, layout, settings);
      } catch (error) {
        // One picture that fails must not take the others with it.
        console.error(error);
        target.textContent = "This picture could not be drawn. Its numbers are in the sentence below it.";
      }
    });
    Promise.all(drawn).then(() => document.documentElement.toggleAttribute("data-drawn", true));
  };

  const onPaper = (yes) => {
    document.documentElement.toggleAttribute("data-paper", yes);
    draw(yes ? PAPER_WIDTH : 0);
  };

  draw(0);
  NARROW.addEventListener("change", () => draw(0));
  DARK.addEventListener("change", () => draw(0));
  addEventListener("beforeprint", () => onPaper(true));
  addEventListener("afterprint", () => onPaper(false));
})();
