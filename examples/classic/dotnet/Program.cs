// The app of the book: one page on port 5000. Change the text, push, and reload.
var app = WebApplication.CreateBuilder(args).Build();
app.Urls.Add("http://*:5000");
app.MapGet("/", () => "Hello from the book\n");
app.Run();
