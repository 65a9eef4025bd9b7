// The trajectory player's frame: panels on one clock, what to show, and the drop of a particle.

/** "t = 0.42" or what else is counted, and the second clock where one is given. */
function sayTime(spec, u) {
  const t = spec.span[0] + u * (spec.span[1] - spec.span[0]), say = (v) => v.toFixed(2).replace("-", "\u2212");
  if (!spec.clock) return [`${spec.time} = ${say(t)}`, ""];
  const s = u * 100, k = Math.min(99, Math.floor(s)), v = spec.clock.values;
  return [`${spec.time} = ${say(t)}`, `${spec.clock.name} = ${say(v[k] + (v[k + 1] - v[k]) * (s - k))}`];
}

function render({ model, el }) {
  const spec = model.get("spec"), raw = alignedBytes(model.get("buffer"));
  const panels = spec.panels.map((panel) => makePanel(raw, panel, spec));
  const any = (name) => spec.panels.some((panel) => name in panel);
  const show = { density: true, arrows: true, data: true, cloud: true, trails: spec.trails ? "short" : "none" };
  const own = { starts: spec.drop.slice(), solver: spec.solver, steps: spec.steps };
  const finest = spec.panels.reduce((a, b) => (b.times.length > a.times.length ? b : a)).times;
  let draws = 0;

  const draw = (u) => { panels.forEach((panel) => panel.draw(u, show)); draws += 1; };
  const { clock, node } = makeTransport({ seconds: spec.seconds, draw, say: (u) => sayTime(spec, u),
    stops: finest.map((t) => (t - spec.span[0]) / (spec.span[1] - spec.span[0])) });
  const redraw = () => draw(clock.u);

  const report = make("div", { class: "dgm-report", "aria-live": "polite" });
  function refollow() {
    panels.forEach((panel) => panel.refollow(own.starts, own.solver, own.steps));
    report.replaceChildren(...sayGap(spec, panels, own));
    redraw();
  }
  const dropAt = (p) => { own.starts = [...own.starts.slice(-11), p]; refollow(); };

  const stage = make("div", { class: "dgm-stage", tabindex: 0, role: "group",
    "aria-label": `${spec.label}. Space plays and pauses, arrow keys step, Home and End go to either end.` },
    ...panels.map((panel, i) => make("figure", { class: "dgm-panel", style: `--size:${spec.size}px` },
      spec.panels[i].title ? make("figcaption", { text: spec.panels[i].title }) : null, panel.canvas)));
  panels.filter((panel) => panel.field).forEach(({ canvas }) => {
    canvas.classList.add("dgm-drop");
    canvas.addEventListener("click", (event) => {
      const box = canvas.getBoundingClientRect();
      dropAt([((event.clientX - box.left) / box.width * 2 - 1) * spec.frame, (1 - (event.clientY - box.top) / box.height * 2) * spec.frame]);
    });
  });

  const toggles = [["cloud", "particles", COLOUR.blue, "dot", true], ["density", "exact density", COLOUR.green, "patch", any("density")],
    ["data", "data", COLOUR.ink, "dot", any("data")], ["arrows", "field", "#8a8a8a", "arrow", any("field")]]
    .filter(([, , , , there]) => there)
    .map(([key, label, colour, kind]) => tick(label, colour, true, (on) => { show[key] = on; redraw(); }, kind));
  const trails = spec.trails ? choice("trails", [["none", "none"], ["short", "short"], ["whole", "whole way"]], show.trails,
    (value) => { show.trails = value; redraw(); }) : null;
  const random = () => panels[0].start(Math.random());
  const side = make("div", { class: "dgm-side" }, group("Show", ...toggles, ...(trails ? [trails] : [])), speedGroup(clock),
    any("field") ? dropGroup(own, { refollow, report, random, dropAt }) : null);

  const root = make("div", { class: `dgm-player${panels.length > 1 ? " dgm-many" : ""}` },
    make("div", { class: "dgm-main" }, stage, node), side, spec.note ? make("p", { class: "dgm-note", role: "note", text: spec.note }) : null);
  listenKeys(root, { " ": clock.toggle, ArrowRight: () => clock.step(1), ArrowLeft: () => clock.step(-1),
    Home: () => { clock.pause(); clock.seek(0); }, End: () => { clock.pause(); clock.seek(1); } });
  root.dgm = { clock, drop: dropAt, state: () => ({ u: clock.u, draws, playing: clock.playing, ...own,
    drops: panels.map((panel) => panel.drops.map(({ path, fine }) => ({ path, fine }))) }) };
  el.replaceChildren(root);
  clock.seek(0);
  refollow();
  return () => clock.pause();
}

/** What the reader's particles cost and how far they land from the fine path, panel by panel. */
function sayGap(spec, panels, own) {
  if (!own.starts.length) return [make("span", { class: "dgm-hint", text: `Click in the picture: a particle of your own starts there at t = ${spec.span[0]}.` })];
  const cost = SOLVERS[own.solver].cost * own.steps;
  const rows = panels.map((panel, i) => [panel.field ? panel.gap().toFixed(3) : "", spec.panels[i].title]).filter(([gap]) => gap);
  const alike = rows.every(([gap]) => gap === rows[0][0]);
  return [make("div", { text: `${cost} field evaluation${cost > 1 ? "s" : ""} a particle; it lands this far from the fine steps:` }),
    ...(alike ? [[rows[0][0], ""]] : rows).map(([gap, title]) => make("div", { class: "dgm-gap" }, make("b", { text: gap }), make("span", { text: title && ` ${title}` })))];
}

function dropGroup(own, { refollow, report, random, dropAt }) {
  const count = make("output", { class: "dgm-count", text: String(own.steps) });
  const steps = make("input", { type: "range", min: 1, max: 100, value: own.steps, "aria-label": "number of steps",
    style: `--done:${own.steps}%`,
    oninput: () => { own.steps = Number(steps.value); count.textContent = steps.value; steps.style.setProperty("--done", `${own.steps}%`); refollow(); } });
  const solvers = Object.entries(SOLVERS).map(([key, { name }]) => [key, name]);
  return group("Drop a particle",
    choice("solver", solvers, own.solver, (value) => { own.solver = value; refollow(); }),
    make("label", { class: "dgm-field" }, make("span", { text: "steps" }), steps, count),
    make("div", { class: "dgm-key" }, make("span", { class: "dgm-chip dgm-line", style: `--chip:${COLOUR.red}` }), make("span", { text: "this solver" }),
      make("span", { class: "dgm-chip dgm-dash", style: `--chip:${COLOUR.green}` }), make("span", { text: "200 RK4 steps" })),
    report,
    make("div", { class: "dgm-buttons" }, make("button", { type: "button", text: "Drop one", onclick: () => dropAt(random()) }),
      make("button", { type: "button", text: "Clear", onclick: () => { own.starts = []; refollow(); } })));
}

export default { render };
