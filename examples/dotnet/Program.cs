// ASPNETCORE_URLS says where to listen; the platform derives it from $PORT.
var app = WebApplication.CreateBuilder(args).Build();
app.MapGet("/", () => "Hello from .NET\n");
app.Run();
