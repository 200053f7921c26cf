<?php

declare(strict_types=1);

namespace Hello;

final class Greeting
{
    public static function from(string $who): string
    {
        return "Hello from {$who}";
    }
}
