(() => {
  const find = document.getElementById("find");
  const shown = document.getElementById("shown");
  const fold = document.getElementById("fold");
  const cases = [...document.querySelectorAll("details.case")];
  const chips = [...document.querySelectorAll(".chip[data-verdict]")];

  const apply = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = new Set(chips.filter((c) => c.getAttribute("aria-pressed") === "true").map((c) => c.dataset.verdict));
    let count = 0;
    for (const one of cases) {
      const fits = verdicts.has(one.dataset.verdict) && words.every((word) => one.dataset.search.includes(word));
      one.hidden = !fits;
      if (fits) count += 1;
    }
    for (const group of document.querySelectorAll("section.group")) {
      group.hidden = !group.querySelector("details.case:not([hidden])");
      for (const heading of group.querySelectorAll("h3")) {
        let next = heading.nextElementSibling;
        while (next && next.tagName !== "H3" && next.hidden) next = next.nextElementSibling;
        heading.hidden = !next || next.tagName === "H3";
      }
    }
    document.getElementById("nothing").hidden = count > 0;
    shown.textContent = count === cases.length ? "" : `${count} of ${cases.length}`;
  };

  find.addEventListener("input", apply);
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      apply();
    });
  }
  fold.addEventListener("click", () => {
    const open = fold.getAttribute("aria-pressed") !== "true";
    fold.setAttribute("aria-pressed", String(open));
    fold.textContent = open ? "close all" : "open all";
    for (const one of cases) if (!one.hidden) one.open = open;
  });

  const goTo = () => {
    const at = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!at) return;
    for (let up = at; up; up = up.parentElement) if (up.tagName === "DETAILS") up.open = true;
    at.scrollIntoView({ block: "start" });
  };
  addEventListener("hashchange", goTo);
  goTo();

  // A line of the case and what it caused are pointed out together.
  const point = (event, on) => {
    const line = event.target.closest("[data-line]");
    if (!line) return;
    for (const other of line.closest(".two").querySelectorAll(`[data-line="${line.dataset.line}"]`)) other.classList.toggle("lit", on);
  };
  document.addEventListener("mouseover", (event) => point(event, true));
  document.addEventListener("mouseout", (event) => point(event, false));

  for (const button of document.querySelectorAll("button.copy")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent);
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
  }
  addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== find) { event.preventDefault(); find.focus(); }
  });
  apply();
})();
