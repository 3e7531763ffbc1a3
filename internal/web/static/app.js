// The pages work without this file. It closes menus, copies values, keeps
// relative times fresh, asks before a form that says so, and stops a form from
// being sent twice.
import { copies } from "./copy.js";
import { forms } from "./forms.js";
import { menus } from "./menus.js";
import { times } from "./times.js";

copies();
forms();
menus();
times();
