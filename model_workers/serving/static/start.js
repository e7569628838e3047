// Addresses are relative: the page also stands behind a gateway. No validator: nobody else is asked.
window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  validatorUrl: null,
  defaultModelsExpandDepth: 0,
  supportedSubmitMethods: ["get", "post"],
});
