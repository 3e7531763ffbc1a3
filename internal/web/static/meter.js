// The strength of a password, as it is typed. The server is asked, because its
// rules decide; nothing is asked while somebody is still typing.

const pause = 350; // ms

export function strengths() {
  for (const box of document.querySelectorAll("[data-strength]")) watch(box);
}

function watch(box) {
  const input = document.getElementById(box.dataset.of);
  if (!input) return;
  let timer = 0;
  let asking = null;
  const ask = async () => {
    asking?.abort();
    if (!input.value) return show(box, null);
    asking = new AbortController();
    try {
      const response = await fetch(box.dataset.strength, {
        method: "POST",
        headers: { Accept: "application/json" },
        body: question(box, input),
        signal: asking.signal,
      });
      show(box, response.ok ? await response.json() : null);
    } catch (error) {
      if (error.name !== "AbortError") show(box, null);
    }
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, pause);
  };
  input.addEventListener("input", soon);
  for (const name of ["email", "name"]) field(input, name)?.addEventListener("change", soon);
}

const field = (input, name) => input.form?.elements.namedItem(name);

function question(box, input) {
  const body = new URLSearchParams({ password: input.value });
  for (const name of ["email", "name"]) {
    const value = field(input, name)?.value;
    if (value) body.set(name, value);
  }
  if (box.dataset.link) body.set("link", box.dataset.link);
  if (box.dataset.renews !== undefined) body.set("renews", "yes");
  return body;
}

// show draws an answer, or nothing while none is known.
function show(box, answer) {
  const meter = box.querySelector("meter");
  const says = box.querySelector("p");
  meter.hidden = !answer;
  meter.value = answer?.score ?? 0;
  const text = answer?.says ?? "";
  if (says.textContent !== text) says.textContent = text;
}
