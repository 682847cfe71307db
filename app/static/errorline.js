/** The mark on the line where a run failed, until that line is edited. */
import { RangeSet, StateEffect, StateField } from "@codemirror/state";
import { Decoration, EditorView, GutterMarker, gutterLineClass } from "@codemirror/view";

/** Mark the line that a position is in; null: no line. @type {import("@codemirror/state").StateEffectType<number | null>} */
export const markLine = StateEffect.define();

const IN_LINE = Decoration.line({ class: "cm-error-line", attributes: { "aria-invalid": "true" } });
const IN_GUTTER = new (class extends GutterMarker {
  elementClass = "cm-error-line";
})();

export const errorLine = StateField.define({
  create: () => /** @type {number | null} */ (null),
  update(value, transaction) {
    for (const effect of transaction.effects) if (effect.is(markLine)) return effect.value;
    if (value === null || !transaction.docChanged) return value;
    const line = transaction.startState.doc.lineAt(value);
    return transaction.changes.touchesRange(line.from, line.to) ? null : transaction.changes.mapPos(value, 1);
  },
  provide: (field) => [
    EditorView.decorations.from(field, (value) => (value === null ? Decoration.none : (view) => Decoration.set(IN_LINE.range(start(view.state, value))))),
    gutterLineClass.compute([field], (state) => {
      const value = state.field(field);
      return value === null ? RangeSet.empty : RangeSet.of(IN_GUTTER.range(start(state, value)));
    }),
  ],
});

/**
 * @param {import("@codemirror/state").EditorState} state
 * @param {number} value
 */
function start(state, value) {
  return state.doc.lineAt(Math.min(value, state.doc.length)).from;
}
