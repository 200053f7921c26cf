// Where to listen is said by ASPNETCORE_URLS, which the platform makes of $PORT.
var app = WebApplication.CreateBuilder(args).Build();
app.MapGet("/", () => "Hello from .NET\n");
app.Run();
