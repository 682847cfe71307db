/** The editor for Python: CodeMirror with this page's keys, colours and marks. */
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab, isolateHistory } from "@codemirror/commands";
import { python, pythonLanguage } from "@codemirror/lang-python";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { EditorSelection, EditorState, Prec } from "@codemirror/state";
import * as view from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import { errorLine, markLine } from "./errorline.js";
import { pageNonce } from "./policy.js";

const MEMBER = /\.(\w*)$/;
const MEMBERS = /\.([A-Za-z_]\w*)/g;

export class Editor {
  /** Where the lines of code that ran are now. @type {Map<string, {doc: import("@codemirror/state").Text, moved: import("@codemirror/state").ChangeDesc}>} */
  #ran = new Map();

  /**
   * @param {HTMLElement} holder
   * @param {string} text
   * @param {{changed: (text: string) => void, run: () => void, stop: () => void}} page `stop`: Esc was pressed
   */
  constructor(holder, text, page) {
    const keys = [
      { key: "Mod-Enter", run: () => (page.run(), true) },
      { key: "Ctrl-Enter", run: () => (page.run(), true) },
    ];
    // Not consumed: the Esc that stops is also the one after which Tab leaves the editor.
    const escape = { key: "Escape", run: () => (page.stop(), false) };
    this.view = new view.EditorView({
      parent: holder,
      doc: text,
      extensions: [
        view.EditorView.cspNonce.of(pageNonce()),
        Prec.highest(view.keymap.of(keys)),
        view.lineNumbers(),
        view.highlightActiveLineGutter(),
        view.highlightActiveLine(),
        view.highlightSpecialChars(),
        history(),
        indentUnit.of("    "),
        EditorState.tabSize.of(4),
        indentOnInput(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ icons: false }),
        python(),
        pythonLanguage.data.of({ autocomplete: completeMembers }),
        syntaxHighlighting(classHighlighter),
        errorLine,
        view.keymap.of([...closeBracketsKeymap, ...completionKeymap, escape, ...defaultKeymap, ...historyKeymap, indentWithTab]),
        view.placeholder("Type Python here, then press Run or Ctrl-Enter."),
        view.EditorView.contentAttributes.of({ "aria-label": holder.dataset.label ?? "", "aria-describedby": "editor-help" }),
        view.EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          for (const each of this.#ran.values()) each.moved = each.moved.composeDesc(update.changes.desc);
          page.changed(this.text);
        }),
      ],
    });
  }

  get text() {
    return this.view.state.doc.toString();
  }

  get focused() {
    return this.view.hasFocus;
  }

  focus() {
    this.view.focus();
  }

  /**
   * Put other code in; undo brings back what was there.
   * @param {string} text
   */
  replace(text) {
    this.#ran.clear();
    const { state } = this.view;
    this.view.dispatch({
      changes: { from: 0, to: state.doc.length, insert: text },
      selection: { anchor: 0 },
      effects: markLine.of(null),
      annotations: isolateHistory.of("full"),
      scrollIntoView: true,
    });
  }

  /**
   * The code as it is now is what this run ran: its lines can be found from now on.
   * @param {string} run
   */
  follow(run) {
    const { doc } = this.view.state;
    const moved = this.view.state.changes().desc;
    this.#ran.set(run, { doc, moved });
  }

  /** @param {string} run */
  follows(run) {
    return this.#ran.has(run);
  }

  /** Is the code as it is now what some run ran? */
  get ran() {
    return [...this.#ran.values()].some((each) => each.moved.empty);
  }

  /**
   * Where a line of the code that ran begins now; null where that is not known, or the code had no such line.
   * @param {string} run
   * @param {number} line from 1
   */
  #find(run, line) {
    const ran = this.#ran.get(run);
    if (!ran || line < 1 || line > ran.doc.lines) return null;
    return ran.moved.mapPos(ran.doc.line(line).from, 1);
  }

  /**
   * @param {string} run
   * @param {number} line
   */
  goTo(run, line) {
    const place = this.#find(run, line);
    if (place === null) return;
    const selection = EditorSelection.cursor(place);
    this.view.dispatch({ selection, effects: view.EditorView.scrollIntoView(selection, { y: "center" }) });
    this.view.focus();
  }

  /**
   * Mark the line where a run failed; null takes the mark away.
   * @param {string} run
   * @param {number | null} line
   */
  mark(run, line) {
    const place = line === null ? null : this.#find(run, line);
    this.view.dispatch({ effects: markLine.of(place) });
  }
}

/**
 * After a dot: the names that stand after dots elsewhere in the code.
 * @param {import("@codemirror/autocomplete").CompletionContext} context
 */
function completeMembers(context) {
  const before = context.matchBefore(MEMBER);
  if (!before) return null;
  const from = before.from + 1;
  const text = context.state.doc.toString();
  const names = new Set();
  for (const found of text.matchAll(MEMBERS)) if (found.index + 1 !== from) names.add(found[1]);
  return { from, options: [...names].map((label) => ({ label, type: "property" })), validFor: /^\w*$/ };
}
