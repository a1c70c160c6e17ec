"use strict";
/* The sample browser. Foreign text goes in by textContent only. */
(function () {
  const samples = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 20;
  const $ = (id) => document.getElementById(id);
  const list = $("list"), pane = $("pane"), wide = matchMedia("(min-width: 860px)");
  const filters = ["f-pism", "f-cmab", "f-ability", "f-outcome", "f-text"].map($);
  let chosen = samples, first = 0, open = null;

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined && text !== null) element.textContent = text;
    return element;
  }
  function picture(source, alternative) {
    if (!source) return make("div", "blank");
    const image = make("img");
    image.src = source;
    image.alt = alternative;
    /* Small pictures are shown as they are, not smoothed. */
    image.addEventListener("load", () => image.classList.toggle("small", image.naturalWidth <= 128));
    return image;
  }

  const outcomes = {
    "balance answer right": (s) => s.answer === true,
    "balance answer wrong": (s) => s.answer === false,
    "draws all right": (s) => s.drawn > 0 && s.right === s.drawn,
    "draws mixed": (s) => s.right > 0 && s.right < s.drawn,
    "draws all wrong": (s) => s.drawn > 0 && s.right === 0,
  };
  function matches(s) {
    const [pism, cmab, ability, outcome, text] = filters.map((f) => f.value);
    const words = [s.id, s.question || "", s.gold || "", s.response || ""].join("\n").toLowerCase();
    return (!pism || s.pism === pism) && (!cmab || s.cmab === cmab) && (!ability || s.ability === ability) &&
      (!outcome || outcomes[outcome](s)) && (!text || words.includes(text.toLowerCase()));
  }

  function row(sample) {
    const item = make("li"), button = make("button", "row"), words = make("div"), chips = make("div", "chips");
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    words.append(make("div", "q", sample.question || sample.id), chips);
    if (sample.pism !== "not_applicable") chips.append(make("span", "chip " + sample.pism, "PISM " + sample.pism));
    if (sample.cmab !== "not_applicable") chips.append(make("span", "chip " + sample.cmab, "CMAB " + sample.cmab));
    if (sample.ability) chips.append(make("span", "", sample.ability));
    button.append(picture(sample.image, ""), words);
    button.addEventListener("click", () => show(item, sample));
    item.append(button);
    item.sample = sample;
    return item;
  }
  function fact(facts, name, value, className) {
    if (value === null || value === undefined || value === "") return;
    facts.append(make("dt", "", name), make("dd", className, value));
  }

  const percent = (tenths) => tenths * 10 + " %";
  function masks(sample) {
    const strip = make("div", "strip");
    for (const r of sample.rows) {
      const frame = make("div", "frame" + (r.tenths === sample.star ? " fails" : ""));
      const dots = make("div", "dots");
      dots.setAttribute("aria-hidden", "true");
      for (const d of r.draws) dots.append(make("span", d.right ? "dot yes" : "dot"));
      frame.append(picture(r.tenths ? r.image : sample.image, percent(r.tenths) + " hidden"),
        make("div", "", `${percent(r.tenths)} · ${r.right}/${r.drawn}`), dots);
      strip.append(frame);
    }
    return strip;
  }
  function answers(sample) {
    const details = make("details"), tally = make("ul", "answers");
    details.append(make("summary", "", "Answers of each draw"), tally);
    for (const r of sample.rows) {
      r.draws.forEach((d, i) => {
        const line = make("li");
        line.append(make("b", d.right ? "good" : "bad", (d.right ? "✓ " : "✗ ") + percent(r.tenths) + ` #${i + 1}`),
          d.text === null ? "(text not kept)" : d.text);
        if (d.cut) line.append(make("span", "bad", " cut off"));
        tally.append(line);
      });
    }
    return details;
  }

  /* One scale for colour and bars: the logarithm of rho, full at a factor of ten either way. */
  const weight = (rho) => rho === null ? 0 : Math.max(-1, Math.min(1, Math.log10(Math.max(rho, 1e-9))));
  function colour(rho) {
    const w = weight(rho);
    return `rgb(var(${w > 0 ? "--image" : "--text"}) / ${(0.55 * Math.abs(w)).toFixed(3)})`;
  }
  function balance(sample) {
    const box = make("div"), bars = make("div", "strip-rho");
    sample.rho_t.forEach((rho, i) => {
      const bar = make("i", weight(rho) < 0 ? "low" : ""), w = 50 * weight(rho);
      bar.style.setProperty("--from", Math.min(50, 50 - w) + "%");
      bar.style.setProperty("--to", Math.min(49, 49 + w) + "%");
      bar.title = `token ${i + 1}${sample.tokens && sample.tokens[i] ? ` “${sample.tokens[i]}”` : ""}: ρ ${rho}`;
      bars.append(bar);
    });
    box.append(bars);
    if (sample.tokens) {
      const text = make("div", "tokens");
      sample.tokens.forEach((token, i) => {
        const span = make("span", "", token);
        span.style.background = colour(sample.rho_t[i]);
        span.title = `ρ ${sample.rho_t[i]}`;
        text.append(span);
      });
      box.append(text);
    }
    const key = make("p", "note", "Up, "), toImage = make("span", "swatch", "more on the image"),
      toText = make("span", "swatch", "more on the text");
    toImage.style.background = colour(4);
    toText.style.background = colour(0.25);
    key.append(toImage, "; down, ", toText, "; full height at a factor of ten.");
    if (sample.rho_t.length < sample.rho_tokens) key.append(` First ${sample.rho_t.length} of ${sample.rho_tokens} tokens.`);
    box.append(key);
    return box;
  }

  /* The image with the attention of the answer over it; one switch for all samples. */
  let mapped = true;
  function attention(sample) {
    const frame = make("figure", "mapped"), layers = make("div", "layers"), canvas = make("canvas"),
      label = make("label"), box = make("input");
    const { rows, columns, values, peak } = sample.map;
    canvas.width = columns;
    canvas.height = rows;
    const context = canvas.getContext("2d"), cells = context.createImageData(columns, rows);
    values.forEach((value, i) => cells.data.set([255, 190 - 1.5 * value, 20, 2.1 * value], 4 * i));
    context.putImageData(cells, 0, 0);
    canvas.hidden = !mapped;
    box.type = "checkbox";
    box.id = "map";
    box.checked = mapped;
    box.addEventListener("change", () => {
      mapped = box.checked;
      canvas.hidden = !mapped;
    });
    label.append(box, make("span", "", "attention of the answer (inner layers); the brightest of " +
      `${rows} × ${columns} cells has ${peak} times the mean`));
    layers.append(picture(sample.image, "image of the sample"), canvas);
    frame.append(layers, label);
    return frame;
  }

  function describe(sample) {
    const box = make("div", "pane"), facts = make("dl", "facts");
    box.append(make("h3", "", sample.question || sample.id));
    if (sample.image) box.append(sample.map ? attention(sample) : picture(sample.image, "image of the sample"));
    fact(facts, "Right answer", sample.gold);
    fact(facts, "Answer", sample.response, sample.answer ? "good" : "bad");
    fact(facts, "PISM", sample.pism === "not_applicable" ? null : sample.pism +
      (sample.pism === "pending" ? "" : sample.star < 0 ? ", no ratio fails" : `, fails at ${percent(sample.star)} hidden`));
    fact(facts, "CMAB", sample.cmab === "not_applicable" ? null : sample.cmab + (sample.rho === null ? "" : `, ρ ${sample.rho}`));
    fact(facts, "Ability", sample.ability);
    fact(facts, "Id", sample.id);
    if (sample.images > 1) fact(facts, "Images", `${sample.images}, the first shown`);
    box.append(facts);
    if (sample.rows.length) {
      box.append(make("h4", "", "Share hidden, as the first draw saw it · right draws"), masks(sample),
        answers(sample));
    }
    if (sample.rho_t) box.append(make("h4", "", "Balance ρ by token of the answer"), balance(sample));
    return box;
  }
  function close() {
    pane.replaceChildren();
    if (!open) return;
    open.firstChild.setAttribute("aria-expanded", "false");
    while (open.children.length > 1) open.lastChild.remove();
    open = null;
  }
  function show(item, sample) {
    const same = open === item;
    close();
    if (same && !wide.matches) return;
    open = item;
    item.firstChild.setAttribute("aria-expanded", "true");
    (wide.matches ? pane : item).append(describe(sample));
    pane.scrollTop = 0;
  }

  function draw(openFirst) {
    const last = Math.min(first + PAGE, chosen.length);
    close();
    list.replaceChildren(...chosen.slice(first, last).map(row));
    $("count").textContent = chosen.length === samples.length ? `${samples.length} samples`
      : `${chosen.length} of ${samples.length} samples match`;
    $("page").textContent = chosen.length ? `${first + 1}–${last} of ${chosen.length}` : "none";
    $("back").disabled = first === 0;
    $("next").disabled = last >= chosen.length;
    if (openFirst && wide.matches && list.firstChild) show(list.firstChild, list.firstChild.sample);
  }
  function filter() {
    chosen = samples.filter(matches);
    first = 0;
    draw(true);
  }
  function turn(by) {
    first = Math.max(0, Math.min(first + by * PAGE, PAGE * Math.floor((chosen.length - 1) / PAGE)));
    draw(true);
    list.firstChild.firstChild.focus();
  }
  function step(by) {
    const items = [...list.children], at = open ? items.indexOf(open) + by : 0;
    if (at >= items.length && !$("next").disabled) return turn(1);
    if (at < 0 && first > 0) return turn(-1);
    if (at < 0 || at >= items.length) return;
    if (open !== items[at]) show(items[at], items[at].sample);
    items[at].firstChild.focus();
    items[at].scrollIntoView({ block: "nearest" });
  }

  for (const name of [...new Set(samples.map((s) => s.ability))].sort())
    if (name) $("f-ability").append(new Option(name));
  for (const f of filters) f.addEventListener("input", filter);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").addEventListener("reset", () => setTimeout(filter));
  /* The fields of the agreement table, rows PISM, columns CMAB. The filters do the same for the keyboard. */
  const fields = $("confusion-t") ? [...$("confusion-t").parentNode.querySelectorAll(".heat")] : [];
  fields.forEach((field, i) => field.addEventListener("click", () => {
    const strata = ["unsolved", "hard", "medium", "easy"];
    $("filters").reset();
    $("f-pism").value = strata[Math.floor(i / 4)];
    $("f-cmab").value = strata[i % 4];
    filter();
    $("filters").scrollIntoView({ behavior: "smooth" });
  }));
  $("back").addEventListener("click", () => turn(-1));
  $("next").addEventListener("click", () => turn(1));
  wide.addEventListener("change", () => draw(true));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^(INPUT|SELECT)$/.test(event.target.tagName) && event.target.type !== "checkbox") return;
    if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "/") $("f-text").focus();
    else if (event.key === "m" && $("map")) $("map").click();
    else return;
    event.preventDefault();
  });
  draw(true);
})();
