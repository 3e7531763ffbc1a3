// Forms: sent once, and asked about first where it says so.

export function forms() {
  document.addEventListener("submit", submitted);
  addEventListener("pageshow", (event) => { if (event.persisted) release(); });
  for (const form of document.querySelectorAll("form[data-type]")) typed(form);
}

function submitted(event) {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent !== undefined) {
    event.preventDefault();
    return;
  }
  if (form.dataset.confirm && form.dataset.confirmed === undefined) {
    event.preventDefault();
    ask(form, event.submitter);
    return;
  }
  // After the skip link the address ends in #main. The answer must not: what it
  // points at would get the focus instead of the summary of what is wrong.
  if (!form.hasAttribute("action")) form.action = location.pathname + location.search;
  form.dataset.sent = "";
  form.setAttribute("aria-busy", "true");
  event.submitter?.setAttribute("aria-disabled", "true");
}

// release frees the forms of a page that comes back from the browser's cache.
function release() {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    delete form.dataset.confirmed;
    form.removeAttribute("aria-busy");
    for (const button of form.querySelectorAll("[aria-disabled]")) button.removeAttribute("aria-disabled");
  }
}

function element(name, text, classes = "") {
  const e = document.createElement(name);
  e.textContent = text;
  e.className = classes;
  return e;
}

// ask shows the form's question in a dialog; its buttons come from the form's
// own words, so that nothing here needs a translation.
function ask(form, submitter) {
  const dialog = document.createElement("dialog");
  const question = element("p", form.dataset.confirm);
  question.id = "question";
  dialog.setAttribute("aria-labelledby", question.id);
  const inner = document.createElement("form");
  inner.method = "dialog";
  const buttons = element("div", "", "buttons end");
  const no = element("button", form.dataset.cancel || "✕", "button");
  const yes = element("button", submitter?.textContent.trim() || "✓", "button primary" + (submitter?.classList.contains("danger") ? " danger" : ""));
  no.value = "";
  yes.value = "yes";
  buttons.append(no, yes);
  inner.append(question, buttons);
  dialog.append(inner);
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (dialog.returnValue !== "yes") {
      submitter?.focus();
      return;
    }
    form.dataset.confirmed = "";
    form.requestSubmit(submitter);
  });
  document.body.append(dialog);
  dialog.showModal();
  no.focus();
}

// typed keeps the button off until the text that confirms was typed.
function typed(form) {
  const field = form.elements.namedItem("confirm");
  const button = form.querySelector("button.danger");
  if (!field || !button) return;
  const update = () => { button.disabled = field.value.trim() !== form.dataset.type; };
  field.addEventListener("input", update);
  update();
}
