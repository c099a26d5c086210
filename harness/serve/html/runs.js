// Filter, order and choice. Without it the list is whole, the newest first, and the form works all the same.
(function () {
  "use strict";

  const form = document.getElementById("compare");
  const table = document.getElementById("runs");
  if (!table) return;
  const bodies = Array.from(table.tBodies);
  const keys = new Map(bodies.map((body) => [body, JSON.parse(body.dataset.sort)]));
  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const chosen = document.getElementById("chosen");
  const submit = form.querySelector("button[type=submit]");
  const most = Number(submit.dataset.most);
  let picked = [];

  function narrow() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    bodies.forEach((body) => {
      body.hidden = !words.every((word) => body.dataset.words.includes(word));
    });
    const left = bodies.filter((body) => !body.hidden).length;
    shown.textContent = words.length ? left + " of " + bodies.length : "";
  }

  // What has no value comes last in either direction.
  function compare(key, sign) {
    return function (left, right) {
      const [a, b] = [keys.get(left)[key], keys.get(right)[key]];
      if (a == null || a === "") return b == null || b === "" ? 0 : 1;
      if (b == null || b === "") return -1;
      return sign * (a < b ? -1 : a > b ? 1 : 0);
    };
  }

  function order(heading) {
    const now = heading.getAttribute("aria-sort");
    // Figures from the highest, words from A.
    const descending = now ? now === "ascending" : !heading.classList.contains("left");
    table.tHead.querySelectorAll("[aria-sort]").forEach((each) => each.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    table.append(...bodies.sort(compare(heading.dataset.key, descending ? -1 : 1)));
  }

  function clear() {
    form.querySelectorAll("input:checked").forEach((box) => (box.checked = false));
    picked = [];
    tell();
  }

  function tell() {
    history.replaceState(picked, "");
    const enough = picked.length >= 2 && picked.length <= most;
    submit.disabled = !enough;
    other.hidden = !picked.length;
    const names = picked.map((name, number) => "ABCDEFGH".charAt(number) + " " + name + (number ? "" : " (base)"));
    const wish = picked.length > most ? ": too many, " + most + " fit" : picked.length === 1 ? ": and one more" : "";
    chosen.textContent = picked.length ? names.join(", ") + wish : "Two to " + most + " can be compared.";
  }

  table.tHead.querySelectorAll("[data-key]").forEach((heading) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => order(heading));
    heading.replaceChildren(button);
  });
  table.tHead.querySelector("[data-key=run]").setAttribute("aria-sort", "descending");

  const other = document.createElement("button");
  other.type = "button";
  other.className = "other";
  other.textContent = "Clear";
  other.addEventListener("click", clear);
  submit.after(other);

  form.addEventListener("change", (event) => {
    const box = event.target;
    if (box.name !== "pick") return;
    picked = picked.filter((name) => name !== box.value);
    if (box.checked) picked.push(box.value);
    tell();
  });

  // In the order of ticking, which the form by itself does not know.
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!submit.disabled) location.assign("/compare?" + new URLSearchParams(picked.map((name) => ["pick", name])));
  });

  filter.addEventListener("input", narrow);
  document.querySelector(".tools").hidden = false;
  // A page that is gone back to has its boxes still ticked; in which order they were is kept with its place in the history.
  addEventListener("pageshow", () => {
    const ticked = Array.from(form.querySelectorAll("input[name=pick]:checked"), (box) => box.value);
    const before = (history.state || []).filter((name) => ticked.includes(name));
    picked = [...new Set([...before, ...ticked])];
    narrow();
    tell();
  });
})();
