"use strict";
const numbers = JSON.parse(document.getElementById("numbers").textContent);
const sections = [...document.querySelectorAll("section[data-task]")];

function show(section, part, number) {
  const step = part.steps[number];
  section.style.setProperty("--level", step.at + "%");
  for (const [name, text] of Object.entries(step.text))
    for (const place of section.querySelectorAll(`[data-show="${name}"]`)) place.textContent = text;
  section.querySelectorAll("[data-found]").forEach((place, source) => { place.textContent = step.found[source]; });
  for (const picture of section.querySelectorAll("[data-rank]")) {
    const caught = Number(picture.dataset.rank) <= step.rank;
    picture.classList.toggle("missed", !caught);
    picture.querySelector(".mark").textContent = caught ? "caught" : "missed";
  }
  section.querySelector("input").setAttribute("aria-valuetext", `${step.text.rate}, ${step.text.in} good images`);
}

sections.forEach((section, task) => {
  const slider = section.querySelector("input");
  slider.disabled = numbers[task].steps.length < 2;
  slider.addEventListener("input", () => show(section, numbers[task], slider.valueAsNumber));
  show(section, numbers[task], slider.valueAsNumber); // a browser may have kept where it stood
  const copy = section.querySelector("button");
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    const command = section.querySelector("pre");
    const told = section.querySelector(".copied");
    try {
      await navigator.clipboard.writeText(command.textContent);
      told.textContent = "Copied";
    } catch { // the browser does not allow it: the text is selected, for the keyboard
      getSelection().selectAllChildren(command);
      told.textContent = "Selected: copy it with the keyboard";
    }
  });
});

const chosen = document.getElementById("task");
if (chosen) {
  const choose = () => sections.forEach((section, task) => { section.hidden = task !== chosen.selectedIndex; });
  chosen.closest("p").hidden = false;
  chosen.addEventListener("change", choose);
  choose();
}
