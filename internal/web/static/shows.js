// A button beside every password that shows what was typed, and hides it again.
// The form is sent with it hidden, so that browsers know it for a password.

export function shows() {
  for (const input of document.querySelectorAll("input[type=password][data-show]")) offer(input);
}

function offer(input) {
  const row = document.createElement("div");
  row.className = "shown";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small quiet";
  button.setAttribute("aria-controls", input.id);
  const label = input.labels[0];
  if (label) {
    label.id ||= `${input.id}-label`;
    button.setAttribute("aria-describedby", label.id);
  }
  const turn = (shown) => {
    input.type = shown ? "text" : "password";
    button.textContent = shown ? input.dataset.hide : input.dataset.show;
  };
  button.addEventListener("click", () => {
    turn(input.type === "password");
    input.focus();
  });
  input.form?.addEventListener("submit", () => turn(false));
  addEventListener("pagehide", () => turn(false));
  input.autocapitalize = "off";
  input.spellcheck = false;
  input.replaceWith(row);
  row.append(input, button);
  turn(false);
}
