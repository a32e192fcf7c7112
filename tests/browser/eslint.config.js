import js from "@eslint/js";
import globals from "globals";

const never = (name, why) => ({ selector: name, message: why });

export default [
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: "module" },
    rules: {
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-implicit-globals": "error",
      "no-shadow": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "max-lines": ["error", 500],
    },
  },
  {
    files: ["**/apps/dashboard/*.js"],
    languageOptions: { globals: globals.browser },
    rules: {
      // What is stored is only ever set as text.
      "no-restricted-properties": ["error", ...["innerHTML", "outerHTML", "insertAdjacentHTML", "srcdoc"].map((property) => ({ property, message: "text only" }))],
      "no-restricted-syntax": ["error", never("AssignmentExpression > MemberExpression[property.name=/^(inner|outer)HTML$/]", "text only"), never("CallExpression[callee.property.name='write'][callee.object.name='document']", "text only")],
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-console": "error",
    },
  },
  { files: ["**/tests/browser/*.js"], languageOptions: { globals: { ...globals.node, ...globals.browser } } },
];
