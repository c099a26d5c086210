// Asks once a second how the test is going, and shows it: the table, the charts, the verdict. Goes on when Locust's own page
// has stopped asking, through drain and audit, and into the next test.
(function () {
  "use strict";

  const BUSY_MS = 1000;
  const IDLE_MS = 3000;
  const root = document.documentElement;
  const embedded = root.classList.contains("embedded");
  let last = null;

  function at(id) {
    return document.getElementById(id);
  }

  function count(value) {
    return value == null ? "-" : value.toLocaleString("en");
  }

  function ratio(value) {
    return value == null ? "-" : value.toFixed(3) + "x";
  }

  function time(value) {
    return value == null ? "-" : Charts.duration(value);
  }

  function element(name, text, kind) {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  }

  // [label, indentation, value of a topology's figures]
  function rows(live) {
    const faults = [...new Set(Object.values(live.topologies).flatMap((figures) => Object.keys(figures.faults)))];
    const layers = Object.keys(Charts.LAYERS);
    return [
      ["State", 0, (of) => of.state],
      ["Started", 0, (of) => count(of.started)],
      ["Completed", 1, (of) => count(of.completed)],
      ["Compensated", 1, (of) => count(of.compensated)],
      ["In flight", 1, (of) => count(of.in_flight)],
      ["Unresolved", 1, (of) => count(of.unresolved)],
      ["Dropped", 0, (of) => count(of.dropped)],
      ["Rejected, no answer", 0, (of) => count(of.rejected == null ? null : of.rejected + of.no_answer)],
      ["Completion time p50", 0, (of) => time(of.completion_ms.p50)],
      ["p95", 1, (of) => time(of.completion_ms.p95)],
      ["p99", 1, (of) => time(of.completion_ms.p99)],
      ["Retry amplification", 0, (of) => ratio(of.retry_amplification.total)],
      ...layers.map((layer) => [Charts.LAYERS[layer], 1, (of) => ratio(of.retry_amplification[layer])]),
      ["Duplicates suppressed", 0, (of) => count(of.duplicates_suppressed)],
      ["Faults fired", 0, () => ""],
      ...(faults.length ? faults.map((fault) => [fault, 1, (of) => count(of.faults[fault])]) : [["none in this storm", 1, () => ""]]),
    ];
  }

  function table(live) {
    const names = Object.keys(live.topologies);
    const head = element("tr", "");
    head.append(element("td", ""), ...names.map((name, index) => {
      const cell = element("th", name);
      cell.scope = "col";
      cell.prepend(element("span", "", "key k" + index % 4));
      return cell;
    }));
    document.querySelector("thead").replaceChildren(head);
    document.querySelector("tbody").replaceChildren(...rows(live).map(([label, indentation, value]) => {
      const row = element("tr", "");
      const name = element("th", label, indentation ? "indent" : "");
      name.scope = "row";
      row.append(name, ...names.map((topology) => element("td", value(live.topologies[topology]))));
      return row;
    }));
  }

  function status(told) {
    const live = told.live;
    if (told.problem) return told.problem[0].toUpperCase() + told.problem.slice(1) + (/[.!?]$/.test(told.problem) ? "" : ".") + " Locust's log says more.";
    if (told.stage === "none") return "No test yet: start one in Locust's form.";
    if (!live || told.stage === "starting") return "Starting: what the backend does by itself is measured before the first load.";
    const block = "Block " + (live.block + 1) + " of " + live.of;
    const now = live.blocks.find((each) => each.block === live.block);
    const of = now ? ": " + now.topology : "";
    if (live.phase === "ended") return "";
    if (told.stage === "over") return "The run has ended without a verdict. Locust's log says more.";
    if (live.phase === "audit") return "The load is over. The auditor reads what was recorded, and the report is written.";
    if (live.phase === "load") return block + of + " under load, " + Math.max(0, Math.floor(now ? now.now_s : 0)) + " of " + live.duration_s + " s.";
    if (live.phase === "drain") return block + of + " drains: no more arrivals, and what is under way is waited for.";
    return block + ": its backend and its processes are starting.";
  }

  function verdict(told) {
    const live = told.live;
    const ended = Boolean(live && live.verdict && told.stage !== "starting");
    const box = at("verdict");
    box.hidden = !ended;
    if (!ended) return;
    box.className = "verdict " + live.verdict;
    box.querySelector(".word").textContent = live.verdict.toUpperCase();
    const reasons = live.reasons.length ? live.reasons : ["Every check of the audit is valid, and nothing stands in the way of comparing."];
    box.querySelector("ul").replaceChildren(...reasons.map((reason) => element("li", reason)));
    box.querySelector("p").hidden = !told.report;
  }

  function show(told) {
    const live = told.live;
    const words = status(told);
    if (at("status").textContent !== words) at("status").textContent = words;
    at("status").hidden = !words;
    verdict(told);
    const shown = live && told.stage !== "none" && told.stage !== "starting";
    at("content").hidden = !shown;
    at("run").textContent = shown
      ? ["run " + live.run_id, live.saga, "storm " + live.storm, live.rate_per_s + " sagas/s for " + live.duration_s + " s", "seed " + live.seed].join(" · ")
      : "";
    if (!shown) return;
    table(live);
    const shaded = live.windows.map(([fault]) => fault).join(", ");
    at("note").textContent = "Seconds since the load of a block started; after the dashed line it drains. " +
      (shaded ? "Shaded: the storm's windows (" + shaded + "). " : "") +
      (live.of > Object.keys(live.topologies).length ? "Faint: earlier blocks of the same topology." : "");
    Charts.draw(live);
  }

  function isBusy(told) {
    return told.stage === "starting" || told.stage === "running" || told.stage === "ending";
  }

  async function told() {
    try {
      const answer = await fetch("live.json", { cache: "no-store" });
      return answer.ok ? await answer.json() : null;
    } catch (error) {
      return null;
    }
  }

  async function ask() {
    const now = await told();
    setTimeout(ask, now && isBusy(now) ? BUSY_MS : IDLE_MS);
    if (now) {
      last = now;
      show(now);
    } else {
      at("status").hidden = false;
      at("status").textContent = "Locust does not answer" + (last && last.live ? "; these are the last figures it gave." : ".");
    }
  }

  // Light or dark as Locust's page, in it; else as the reader's system.
  function follow() {
    const theme = embedded ? localStorage.getItem("theme") : null;
    root.classList.toggle("dark", theme === "dark");
    root.classList.toggle("light", theme === "light");
    if (last) show(last);
  }

  addEventListener("storage", follow);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
  follow();
  ask();
})();
