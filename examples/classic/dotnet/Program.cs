// The app of the book: one page. Change the text, push, and reload.
var app = WebApplication.CreateBuilder(args).Build();
app.MapGet("/", () => "Hello from the book\n");
app.Run();
