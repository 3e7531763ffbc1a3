// The pages work without this file. It closes menus, copies values, keeps
// relative times fresh, shows passwords and how strong they are, asks before a form that says so, and stops a form from
// being sent twice. Only passkeys need it.
import { copies } from "./copy.js";
import { forms } from "./forms.js";
import { menus } from "./menus.js";
import { passkeys } from "./passkeys.js";
import { shows } from "./shows.js";
import { strengths } from "./meter.js";
import { times } from "./times.js";

copies();
forms();
menus();
passkeys();
shows();
strengths();
times();
