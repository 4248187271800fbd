// The view of `ddpm_lite.widgets.scrub`: pictures cut out of one sprite sheet, a caption, an optional curve.
// `value` is linked to an ordinary slider in the browser, so that moving it needs no kernel.
const SVG = "http://www.w3.org/2000/svg";
const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]; // each 3:1 or better on white and on black

function make(tag, attributes, parent) {
  const node = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") node.textContent = value;
    else node.setAttribute(key, value);
  }
  parent.append(node);
  return node;
}

function drawCurves(curves, width, el) {
  const height = 96, pad = 6, n = curves[0].y.length;
  const all = curves.flatMap((c) => c.y);
  const low = Math.min(...all), high = Math.max(...all), span = high - low || 1;
  const x = (i) => pad + (i / (n - 1)) * (width - 2 * pad);
  const y = (v) => height - pad - ((v - low) / span) * (height - 2 * pad);
  const svg = make("svg:svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "ddpm-curve",
    style: `width: ${width}px`, "aria-label": `curve of ${curves.map((c) => c.label).join(", ")}` }, el);
  make("svg:path", { class: "ddpm-axis", d: `M${pad} ${pad}V${height - pad}H${width - pad}` }, svg);
  curves.forEach((c, k) => make("svg:polyline", { stroke: COLORS[k % COLORS.length],
    points: c.y.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(" ") }, svg));
  const cursor = make("svg:line", { class: "ddpm-cursor", y1: 0, y2: height }, svg);
  const dots = curves.map((c, k) => make("svg:circle", { r: 4.5, fill: COLORS[k % COLORS.length] }, svg));
  const legend = make("p", { class: "ddpm-legend" }, el);
  const texts = curves.map((c, k) => {
    make("span", { class: "ddpm-key", style: `background: ${COLORS[k % COLORS.length]}` }, legend);
    return make("span", { class: "ddpm-key-text" }, legend);
  });
  return (i) => {
    cursor.setAttribute("x1", x(i));
    cursor.setAttribute("x2", x(i));
    curves.forEach((c, k) => {
      dots[k].setAttribute("cx", x(i));
      dots[k].setAttribute("cy", y(c.y[i]));
      texts[k].textContent = `${c.label} ${Number(c.y[i].toPrecision(3))}`;
    });
  };
}

function render({ model, el }) {
  const { columns, width, height, panels } = model.get("layout_of_sheet");
  const labels = model.get("labels"), title = model.get("title"), curves = model.get("curves");
  el.classList.add("ddpm-scrub-view");
  const row = make("div", { class: "ddpm-panels" }, el);
  const views = panels.map((p) => {
    const figure = make("figure", {}, row);
    const canvas = make("canvas", { width: p.width, height: p.height, role: "img",
      style: `width: ${p.width * p.scale}px; aspect-ratio: ${p.width} / ${p.height}` }, figure);
    if (p.name) make("figcaption", { text: p.name }, figure);
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    return { ...p, canvas, context };
  });
  const caption = make("p", { class: "ddpm-caption" }, el);
  const total = panels.reduce((sum, p) => sum + p.width * p.scale, 0) + 8 * (panels.length - 1);
  const moveCursor = curves.length ? drawCurves(curves, Math.max(total, 300), el) : () => {};

  let sheet = null, asked = false, gone = false;
  function draw() {
    asked = false;
    if (gone || !sheet) return;
    const i = Math.max(0, Math.min(labels.length - 1, model.get("value")));
    const x = (i % columns) * width, y = Math.floor(i / columns) * height;
    for (const v of views) {
      v.context.drawImage(sheet, x + v.x, y, v.width, v.height, 0, 0, v.width, v.height);
      v.canvas.setAttribute("aria-label", v.name ? `${v.name}, ${labels[i]}` : labels[i]);
    }
    caption.textContent = labels[i];
    moveCursor(i);
    el.dataset.frame = i; // which picture is on the screen
    // The slider is not ours: give its handle the name and the value text that a screen reader reads.
    const handle = el.closest(".ddpm-scrub")?.querySelector(".widget-hslider [role=slider], .ui-slider-handle");
    if (handle) {
      handle.setAttribute("role", "slider");
      handle.setAttribute("aria-label", title);
      handle.setAttribute("aria-valuemin", 0);
      handle.setAttribute("aria-valuemax", labels.length - 1);
      handle.setAttribute("aria-valuenow", i);
      handle.setAttribute("aria-valuetext", labels[i]);
    }
  }
  function ask() { // at most one picture a displayed frame
    if (!asked) { asked = true; requestAnimationFrame(draw); }
  }
  createImageBitmap(new Blob([model.get("sheet")], { type: "image/png" }), { colorSpaceConversion: "none" })
    .then((bitmap) => { sheet = bitmap; ask(); })
    .catch((error) => { caption.textContent = `The pictures could not be decoded: ${error.message}`; });
  model.on("change:value", ask);
  return () => { gone = true; model.off("change:value", ask); sheet?.close(); };
}

export default { render };
