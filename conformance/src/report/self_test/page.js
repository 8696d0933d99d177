(() => {
  const find = document.getElementById("find");
  const shown = document.getElementById("shown");
  const rows = [...document.querySelectorAll("tr.server")];
  const chips = [...document.querySelectorAll(".chip[data-spec]")];

  // No contract chosen means all of them.
  const apply = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = new Set(chips.filter((c) => c.getAttribute("aria-pressed") === "true").map((c) => c.dataset.spec));
    let count = 0;
    for (const row of rows) {
      const fits = (chosen.size === 0 || chosen.has(row.dataset.spec)) && words.every((word) => row.dataset.search.includes(word));
      row.hidden = !fits;
      if (fits) count += 1;
    }
    document.getElementById("nothing").hidden = count > 0;
    shown.textContent = count === rows.length ? `${rows.length} wrong servers` : `${count} of ${rows.length}`;
  };

  find.addEventListener("input", apply);
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      apply();
    });
  }
  addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== find) { event.preventDefault(); find.focus(); }
  });
  apply();
})();
